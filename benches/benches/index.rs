//! Look-ups in the index, and changes of it.
//!
//! Each look-up is for another pod. `in turn` means that the pod depends on the result of the previous look-up, so that
//! the processor cannot start earlier: this is the latency of a look-up. Otherwise pods are independent, like the
//! queries of a batch. The measured time is the thread's CPU time, so that other programs do not affect it.

use std::array;
use std::hint::black_box;
use std::iter::zip;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use poddns_benches::cpu_time::CpuTime;
use poddns_benches::pods::{address, address_v6, apply, filled, filled_at, namespace, namespaces, uid};
use poddns_core::{Label, PodLookup};
use poddns_watch::{Index, IndexOptions, IndexWriter, ListScope};

const SIZES: [u32; 3] = [100, 10_000, 1_000_000];

/// Pseudo-random pod numbers of full period, each dependent on the previous result.
struct PodNumbers(u32);

impl PodNumbers {
    fn next(&mut self, found: bool) -> u32 {
        self.0 = self.0.wrapping_mul(0x915f_77f5).wrapping_add(0x3c6e_f35f);
        (self.0 >> 8) ^ u32::from(found)
    }
}

/// Looks up an existing pod, or the address of a pod that does not exist.
fn look_up(
    index: &Index,
    namespaces: &[Label],
    choice: &mut PodNumbers,
    pods: u32,
    hit: bool,
    last: bool,
) -> bool {
    let number = choice.next(last) % pods;
    let address = address(if hit { number } else { number + (1 << 23) });
    let found = index.contains(namespace(namespaces, number), black_box(address)).unwrap();
    assert_eq!(found, hit);
    found
}

fn look_ups(c: &mut Criterion<CpuTime>) {
    let namespaces = namespaces();
    let mut group = c.benchmark_group("look-up");
    for pods in SIZES {
        for pod_names in [false, true] {
            let (_writer, index) = filled(IndexOptions { pod_names }, pods);
            for (hit, in_turn) in [(true, false), (true, true), (false, false), (false, true)] {
                let what = if hit { "hit" } else { "miss" };
                let turn = if in_turn { " in turn" } else { "" };
                let names = if pod_names { ", names kept" } else { "" };
                group.bench_function(BenchmarkId::new(format!("{what}{turn}{names}"), pods), |b| {
                    let (mut choice, mut last) = (PodNumbers(1), false);
                    b.iter(|| {
                        let found = look_up(&index, &namespaces, &mut choice, pods, hit, last);
                        last = found && in_turn;
                        found
                    });
                });
            }
        }
    }
    group.finish();
}

/// Number of look-ups in a batch.
const BATCH: usize = 32;

/// Measures look-ups as a server makes them: in batches, with and without a prefetch.
fn look_ups_in_batches(c: &mut Criterion<CpuTime>) {
    let v4: fn(u32) -> IpAddr = address;
    let kinds = [("IPv4", false, v4), ("IPv4, names kept", true, v4), ("IPv6", false, address_v6)];
    let namespaces = namespaces();
    let mut group = c.benchmark_group("32 look-ups");
    for pods in SIZES {
        for (kind, pod_names, address) in kinds {
            let (_writer, index) = filled_at(IndexOptions { pod_names }, pods, address);
            for prefetched in [false, true] {
                let before = if prefetched { ", prefetched" } else { "" };
                group.bench_function(BenchmarkId::new(format!("{kind}{before}"), pods), |b| {
                    let mut choice = PodNumbers(1);
                    b.iter(|| {
                        let numbers: [u32; BATCH] = array::from_fn(|_| choice.next(false) % pods);
                        let addresses = black_box(numbers.map(address));
                        if prefetched {
                            index.prefetch(&addresses);
                        }
                        for (number, address) in zip(numbers, addresses) {
                            assert!(index.contains(namespace(&namespaces, number), address).unwrap());
                        }
                    });
                });
            }
        }
    }
    group.finish();
}

/// Measures the time to read one of as many cache lines as the address table of a million pods has: the lower bound for
/// look-ups in an index of that size.
fn floor(c: &mut Criterion<CpuTime>) {
    #[repr(align(64))]
    struct ColdLine(u32);
    let lines: Vec<ColdLine> = (0..200_000).map(ColdLine).collect();
    let mut group = c.benchmark_group("floor");
    for in_turn in [false, true] {
        let name = if in_turn { "cache line in turn, 12.8 MB" } else { "cache line, 12.8 MB" };
        group.bench_function(name, |b| {
            let (mut choice, mut last) = (PodNumbers(1), false);
            b.iter(|| {
                let ColdLine(number) = lines[choice.next(last) as usize % lines.len()];
                last = in_turn && number & 1 == 1;
                number
            });
        });
    }
    group.finish();
}

/// Changes addresses of pods one after another, at a rate or as fast as possible, until `stop` is set. Returns the
/// number of changes per second.
fn churn(writer: &mut IndexWriter, pods: u32, rate: Option<u32>, stop: &AtomicBool) -> f64 {
    let namespaces = namespaces();
    let begin = Instant::now();
    let mut changes = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        if rate.is_some_and(|rate| begin.elapsed() < Duration::from_secs(1) * changes / rate) {
            thread::sleep(Duration::from_micros(50));
            continue;
        }
        let number = changes.wrapping_mul(0x9e37_79b9) % pods;
        // Changes other pods than those that are looked up; each one alternates between two addresses.
        let moved = pods + number + ((changes / pods) % 2) * (1 << 22);
        apply(writer, &namespaces, pods + number, address(moved));
        changes += 1;
    }
    f64::from(changes) / begin.elapsed().as_secs_f64()
}

fn look_ups_under_churn(c: &mut Criterion<CpuTime>) {
    let pods = 1_000_000;
    let namespaces = namespaces();
    let mut group = c.benchmark_group("look-up under churn, 1,000,000 pods");
    for (name, rate) in [("none", Some(1)), ("20,000 changes/s", Some(20_000)), ("as fast as it can", None)] {
        let (mut writer, index) = filled(IndexOptions::default(), pods);
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = thread::spawn(move || churn(&mut writer, pods, rate, &flag));
        group.bench_function(name, |b| {
            let (mut choice, mut last) = (PodNumbers(1), false);
            b.iter(|| {
                last = look_up(&index, &namespaces, &mut choice, pods, true, last);
                last
            });
        });
        stop.store(true, Ordering::Relaxed);
        if let Ok(rate) = thread.join() {
            println!("    with {rate:.0} changes/s");
        }
    }
    group.finish();
}

fn lists(c: &mut Criterion<CpuTime>) {
    let pods = 1_000_000;
    let (mut writer, _index) = filled(IndexOptions::default(), pods);
    let mut group = c.benchmark_group("list, 1,000,000 pods");
    group.bench_function("begin", |b| b.iter(|| writer.begin_pod_list(&ListScope::All)));
    group.bench_function("begin, apply all again, end", |b| {
        let namespaces = namespaces();
        b.iter(|| {
            writer.begin_pod_list(&ListScope::All);
            for number in 0..pods {
                apply(&mut writer, &namespaces, number, address(number));
            }
            assert_eq!(writer.end_pod_list(&ListScope::All), 0);
        });
    });
    group.finish();
}

fn changes(c: &mut Criterion<CpuTime>) {
    let pods = 1_000_000;
    let namespaces = namespaces();
    let mut group = c.benchmark_group("change, 1,000,000 pods");
    group.throughput(Throughput::Elements(1));
    for pod_names in [false, true] {
        let suffix = if pod_names { ", names kept" } else { "" };
        let (mut writer, _index) = filled(IndexOptions { pod_names }, pods);
        let mut choice = PodNumbers(1);
        group.bench_function(format!("duplicate event{suffix}"), |b| {
            b.iter(|| {
                let number = choice.next(false) % pods;
                apply(&mut writer, &namespaces, number, address(number));
            });
        });
        group.bench_function(format!("new address and back{suffix}"), |b| {
            b.iter(|| {
                let number = choice.next(false) % pods;
                apply(&mut writer, &namespaces, number, address(number + (1 << 23)));
                apply(&mut writer, &namespaces, number, address(number));
            });
        });
        group.bench_function(format!("removed and added{suffix}"), |b| {
            b.iter(|| {
                let number = choice.next(false) % pods;
                writer.remove(uid(number));
                apply(&mut writer, &namespaces, number, address(number));
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = floor, look_ups, look_ups_in_batches, look_ups_under_churn, changes, lists
}
criterion_main!(benches);
