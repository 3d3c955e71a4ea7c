#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| poddns_core_checks::podip(octets));
