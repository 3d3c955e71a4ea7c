//! Integration tests that run the tool as a process.
#![allow(missing_docs)]

mod audit;
mod check;
mod compare;
mod corefile;
mod demo;
#[cfg(feature = "kube-apiserver")]
mod kube_apiserver;
mod names;
mod query;
mod running;
mod support;
