//! Decoding of lists and watches in the form that the API server sends, per pod.
//!
//! Chunks have 16 KiB, like TLS records and HTTP/2 frames, so that two of three pods extend over two chunks. The
//! measured time is the thread's CPU time, so that other programs do not affect it.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use poddns_benches::cpu_time::CpuTime;
use poddns_test_support::api_server::{Encoding, bodies};
use poddns_watch::Pod;
use poddns_watch::decode::{Format, ListDecoder, WatchDecoder};

const PODS: u32 = 1000;
const CHUNK: usize = 16 << 10;

fn chunks(body: Vec<u8>) -> Vec<Bytes> {
    let body = Bytes::from(body);
    (0..body.len()).step_by(CHUNK).map(|at| body.slice(at..(at + CHUNK).min(body.len()))).collect()
}

fn list(format: Format, chunks: &[Bytes]) -> usize {
    let mut decoder = ListDecoder::<Pod>::new(format);
    let mut count = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while decoder.next().expect("a list").is_some() {
            count += 1;
        }
    }
    decoder.finish().expect("a whole list");
    count
}

fn watch(format: Format, chunks: &[Bytes]) -> usize {
    let mut decoder = WatchDecoder::<Pod>::new(format);
    let mut count = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while decoder.next().expect("a watch").is_some() {
            count += 1;
        }
    }
    decoder.finish().expect("whole events");
    count
}

fn decode(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(PODS.into()));
    for (encoding, format) in [(Encoding::Json, Format::Json), (Encoding::Protobuf, Format::Protobuf)] {
        let [items, events] = [bodies::list(encoding, PODS), bodies::events(encoding, PODS)].map(chunks);
        group.bench_function(BenchmarkId::new("list", format!("{format:?}")), |b| {
            b.iter(|| assert_eq!(list(format, &items), PODS as usize));
        });
        group.bench_function(BenchmarkId::new("watch", format!("{format:?}")), |b| {
            b.iter(|| assert_eq!(watch(format, &events), PODS as usize));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decode
}
criterion_main!(benches);
