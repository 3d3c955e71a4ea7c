#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| poddns_watch::fuzzing::check_snapshot(octets));
