//! The API server of the memory bench, and the documents that are made of measurements.
#![allow(missing_docs)]

mod api_server;
mod memory_report;
