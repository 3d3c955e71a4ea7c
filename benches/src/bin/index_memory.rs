//! Memory per pod in the index, as counted by the index, by the allocator, and by the kernel.
//!
//! Prints a table for 10,000, 100,000 and 1,000,000 pods, without pod names, or with them if the argument is `names`.
//! `peak` is the maximum of allocated memory while the index grew.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::fs;

use cap::Cap;
use poddns_benches::pods::{address, apply, namespaces};
use poddns_watch::{IndexOptions, index};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Returns the resident memory of the process in bytes, as counted by the kernel.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() * 1024
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_pod(bytes: usize, pods: u32) -> f64 {
    bytes as f64 / f64::from(pods)
}

fn main() {
    let pod_names = std::env::args().nth(1).is_some_and(|argument| argument == "names");
    let namespaces = namespaces();
    let (allocated, resident_before) = (ALLOCATOR.allocated(), resident());
    let (mut writer, index) = index(IndexOptions { pod_names });
    println!("{:>9} {:>9} {:>9} {:>9} {:>9}", "pods", "index", "allocated", "peak", "RSS");
    let mut number = 0;
    let mut worst = 0.0_f64;
    for pods in [10_000, 100_000, 1_000_000] {
        while number < pods {
            apply(&mut writer, &namespaces, number, address(number));
            number += 1;
            if number > 100_000 && number % 1000 == 0 {
                worst = worst.max(per_pod(index.stats().bytes, number));
            }
        }
        println!(
            "{pods:>9} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            per_pod(index.stats().bytes, pods),
            per_pod(ALLOCATOR.allocated() - allocated, pods),
            per_pod(ALLOCATOR.max_allocated() - allocated, pods),
            per_pod(resident().saturating_sub(resident_before), pods),
        );
    }
    println!("most per pod at any size from 100,000 on: {worst:.2} (index)");
}
