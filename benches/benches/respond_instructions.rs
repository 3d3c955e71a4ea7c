//! Instructions per response, counted by callgrind: poddns-core, hickory-proto and domain. Unlike times, they hardly
//! depend on the machine.
//!
//! Needs valgrind and the runner: `cargo install --locked gungraun-runner@0.20.0`.
//!
//! ```text
//! cargo bench -p poddns-benches --bench respond_instructions
//! ```
#![allow(missing_docs, unused_qualifications, reason = "of the code that the macros make")]

use std::hint::black_box;
use std::sync::Arc;

use gungraun::prelude::*;
use poddns_benches::peers::{DomainResponder, HickoryResponder};
use poddns_benches::{Poddns, QueryCase, Responder, assert_same_answers, cases, pods};
use poddns_core::{MAX_UDP_REPLY, Mode};
use poddns_watch::Index;

/// A query and the buffer for its response.
struct Prepared<R> {
    responder: R,
    query: Vec<u8>,
    out: [u8; MAX_UDP_REPLY],
}

/// Prepares the case with this name. `many` is the number of pods in a case with many pods.
fn prepare<R: Responder>(name: &str, many: u32, new: fn(Mode, &Arc<Index>) -> R) -> Box<Prepared<R>> {
    let cases = QueryCase::all(many);
    let mut case = cases.into_iter().find(|case| case.name == name).expect("a case");
    let pods = pods(case.pods);
    assert_same_answers(&case, &pods);
    let query = case.next_query().to_vec();
    let mut prepared = Prepared { responder: new(case.mode, &pods), query, out: [0; MAX_UDP_REPLY] };
    // A first call, because work that is done once per process is not part of the cost of a response.
    prepared.responder.answer(&prepared.query, &mut prepared.out);
    Box::new(prepared)
}

// Boxed, because moving the fields would be counted.
fn answer<R: Responder>(mut prepared: Box<Prepared<R>>) -> Box<Prepared<R>> {
    black_box(prepared.responder.answer(black_box(&prepared.query), &mut prepared.out));
    // Not dropped here, because that would be counted.
    prepared
}

/// One function for each implementation, because the cases of a function are its attributes.
macro_rules! measure {
    ($function:ident, $responder:ident) => {
        #[library_benchmark]
        #[bench::insecure(prepare("insecure", 0, $responder::new))]
        #[bench::insecure_cookie(prepare("insecure, EDNS + cookie", 0, $responder::new))]
        #[bench::verified_100(prepare("verified, 100 pods", 0, $responder::new))]
        #[bench::verified_100_cookie(prepare("verified, 100 pods, EDNS + cookie", 0, $responder::new))]
        #[bench::verified_million(prepare("verified, many pods", cases::MILLION, $responder::new))]
        #[bench::verified_million_cookie(prepare(
            "verified, many pods, EDNS + cookie",
            cases::MILLION,
            $responder::new
        ))]
        #[bench::nxdomain(prepare("NXDOMAIN, many pods", 10_000, $responder::new))]
        #[bench::nxdomain_cookie(prepare("NXDOMAIN, many pods, EDNS + cookie", 10_000, $responder::new))]
        #[bench::nodata(prepare("NODATA, many pods", 10_000, $responder::new))]
        #[bench::nodata_cookie(prepare("NODATA, many pods, EDNS + cookie", 10_000, $responder::new))]
        #[bench::garbage(prepare("garbage", 0, $responder::new))]
        fn $function(prepared: Box<Prepared<$responder>>) -> Box<Prepared<$responder>> {
            answer(prepared)
        }
    };
}

measure!(poddns, Poddns);
measure!(domain, DomainResponder);
measure!(hickory, HickoryResponder);

library_benchmark_group!(name = respond, benchmarks = [poddns, domain, hickory]);
main!(library_benchmark_groups = respond);
