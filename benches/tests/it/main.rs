//! Tests of the API server of the memory benchmark, and of documents that contain measurements.
#![allow(missing_docs)]

mod api_server;
mod memory_report;
