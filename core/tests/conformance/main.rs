//! What the responder answers, against its contract: one module per RFC, one for the wire rules that small
//! servers break, and oracles that know nothing of this crate (recorded CoreDNS answers, hickory-proto).
//!
//! One binary rather than one per RFC: they share a strict decoder, and link once.

mod coredns;
mod semantics;
mod support;
mod wire_rules;
