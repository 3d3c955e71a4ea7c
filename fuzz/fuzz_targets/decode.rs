#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| poddns_watch::fuzzing::check_decoders(bytes));
