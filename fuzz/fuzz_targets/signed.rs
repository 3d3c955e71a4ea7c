#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| poddns_net::check_signed(octets));
