//! Tests of the responder's contract: one module per RFC, one for the wire rules that small servers often violate,
//! and comparisons with independent implementations (recorded CoreDNS answers, hickory-proto).
//!
//! One binary rather than one per RFC: the modules share a strict decoder and are linked only once.

#![allow(clippy::incompatible_msrv, reason = "the tests need the version of the workspace")]

mod audit;
mod coredns;
mod corpus;
mod docs;
mod explain;
mod hickory;
mod prefetch;
mod properties;
mod reverse;
mod rfc1034_1035;
mod rfc1995_5936;
mod rfc1996_2136_3425_8490;
mod rfc2181;
mod rfc2308;
mod rfc3225;
mod rfc3596;
mod rfc3597;
mod rfc4035;
mod rfc4074;
mod rfc4291_5952;
mod rfc4343;
mod rfc4892;
mod rfc5001;
mod rfc6890;
mod rfc6891;
mod rfc7766;
mod rfc7828;
mod rfc7871;
mod rfc7873;
mod rfc8020;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc8945;
mod rfc9018;
mod rfc9619;
mod semantics;
mod support;
mod transfer;
mod visibility;
mod wire_rules;
mod zones;
