#![no_main]

libfuzzer_sys::fuzz_target!(|content: &[u8]| poddns_watch::kubeconfig::check::check(content));
