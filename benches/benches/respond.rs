//! CPU time per response: poddns-core, hickory-proto and domain, in one run.
//!
//! ```text
//! cargo bench -p poddns-benches --bench respond
//! ```

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use poddns_benches::cpu_time::CpuTime;
use poddns_benches::peers::{DomainResponder, HickoryResponder};
use poddns_benches::{Poddns, QueryCase, Responder, assert_same_answers, cases, pods};
use poddns_core::MAX_UDP_REPLY;

fn all(criterion: &mut Criterion<CpuTime>) {
    let mut indexes = BTreeMap::new();
    for case in QueryCase::all(cases::MILLION) {
        let pods = indexes.entry(case.pods).or_insert_with(|| pods(case.pods));
        assert_same_answers(&case, pods);
        let mut group = criterion.benchmark_group(case.name);
        measure(&mut group, &case, Poddns::new(case.mode, pods));
        measure(&mut group, &case, DomainResponder::new(case.mode, pods));
        measure(&mut group, &case, HickoryResponder::new(case.mode, pods));
        group.finish();
        debug_assert!(Arc::strong_count(pods) == 1);
    }
    // The cost of creating a query, which all figures above include.
    let mut case = QueryCase::all(cases::MILLION).swap_remove(0);
    criterion.bench_function("the query alone", |bencher| {
        bencher.iter(|| black_box(case.next_query()).len());
    });
}

fn measure<R: Responder>(group: &mut BenchmarkGroup<'_, CpuTime>, case: &QueryCase, mut responder: R) {
    let mut case = case.clone();
    let mut out = [0; MAX_UDP_REPLY];
    group.bench_function(R::NAME, |bencher| {
        bencher.iter(|| responder.answer(black_box(case.next_query()), black_box(&mut out)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = all
}
criterion_main!(benches);
