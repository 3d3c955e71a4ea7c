#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| poddns_watch::fuzzing::index_model::run(octets));
