#![no_main]

libfuzzer_sys::fuzz_target!(|content: &[u8]| poddns_watch::fuzzing::check_kubeconfig(content));
