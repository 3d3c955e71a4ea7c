//! Random histories of the model, and single cases.

mod comparisons;
mod failures;
mod identity;
mod lists;
mod watches;

use proptest::prelude::*;

use super::cause::{Cause, Refusal};
use super::limits::{LIST_SILENCE, STREAM_SILENCE};
use super::sync_status::GRACE;
use super::target::IndexDifference;
use super::*;
use crate::Resource;
use crate::feed::decode::{EventKind, MalformedObject};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_with_exact_index(seed: u64, steps in 0_u32..400) {
        let mut random = fastrand::Rng::with_seed(seed);
        model::run_history(steps, &mut |bound| random.u32(0..bound.max(1)));
    }
}

#[test]
fn the_fuzzers_corpus_ends_in_sync() {
    let corpus = crate::corpus("feed_machine");
    assert!(corpus.len() >= 4, "{}", corpus.len());
    for bytes in &corpus {
        model::run_bytes(bytes);
    }
}

/// Records a word for each call.
#[derive(Default)]
struct Diary(Vec<String>);

/// Name, uid and version.
type Thing = (u32, u32, &'static str);

impl ObjectTarget for Diary {
    type Object = Thing;

    fn begin(&mut self) {
        self.0.push("begin".to_owned());
    }

    fn apply(&mut self, (name, uid, _): &Thing) {
        self.0.push(format!("+{name}.{uid}"));
    }

    fn delete(&mut self, (name, uid, _): &Thing) {
        self.0.push(format!("-{name}.{uid}"));
    }

    fn malformed(&mut self, _: &MalformedObject) {}

    fn begin_comparison(&mut self) {
        self.0.push("compare".to_owned());
    }

    fn compare(&mut self, (name, ..): &Thing) -> Option<IndexDifference> {
        self.0.push(format!("?{name}"));
        (*name > 100).then_some(IndexDifference::Missing)
    }

    fn end_comparison(&mut self, each: &mut dyn FnMut(String)) {
        self.0.push("compared".to_owned());
        each("ghost".to_owned());
    }

    fn name(&self, (name, ..): &Thing) -> String {
        name.to_string()
    }

    fn end(&mut self) -> usize {
        self.0.push("end".to_owned());
        0
    }

    fn key(&self, (name, ..): &Thing) -> ObjectKey {
        (*name).into()
    }

    fn version<'a>(&self, (_, _, version): &'a Thing) -> &'a str {
        version
    }
}

struct Bench {
    machine: Machine<Diary>,
    now: Instant,
}

const CACHED_FIRST: [ListMethod; 3] = [ListMethod::Cached, ListMethod::Streaming, ListMethod::Paged];
const STREAMING_FIRST: [ListMethod; 2] = [ListMethod::Streaming, ListMethod::Paged];

impl Bench {
    fn new(methods: &[ListMethod]) -> Self {
        let subject =
            WatchedObjects { resource: Resource::Pods, namespace: None, url: "https://api/".into() };
        let random = fastrand::Rng::with_seed(1);
        let machine = Machine::new(Diary::default(), subject, MethodChoice::new(methods, 2), random);
        Self { machine, now: Instant::now() }
    }

    /// Returns a bench with an established watch at version 10.
    fn in_sync(methods: &[ListMethod]) -> Self {
        let mut bench = Self::new(methods);
        bench.confirm("a", "10");
        bench.list("10");
        assert!(matches!(bench.request(), ApiRequest::Watch { version, .. } if version == "10"));
        bench.accept();
        bench.pass(SETTLE);
        assert_eq!(bench.machine.status(), SyncStatus::Fresh);
        bench.diary();
        bench
    }

    /// Returns the next request, after any delays.
    fn request(&mut self) -> ApiRequest {
        for _ in 0..10 {
            match self.machine.poll(self.now) {
                MachineStep::Send(request) => return request,
                MachineStep::Wait(Some(at)) if !self.machine.is_waiting() => self.now = at,
                MachineStep::Wait(at) => panic!("it waits until {at:?}"),
            }
        }
        panic!("no request");
    }

    /// Returns whether the next request is made without delay.
    fn is_immediate(&self) -> bool {
        self.machine.would_send(self.now)
    }

    fn confirm(&mut self, cluster: &str, revision: &str) {
        assert_eq!(self.request(), ApiRequest::Identify);
        self.machine.accepted(self.now);
        self.machine.identified(self.now, Some(cluster), revision);
    }

    fn accept(&mut self) {
        self.machine.accepted(self.now);
        self.machine.poll(self.now);
    }

    /// Completes an empty list by any method.
    fn list(&mut self, version: &str) {
        let request = self.request();
        self.machine.accepted(self.now);
        match request {
            ApiRequest::List { .. } => self.machine.list_ended(self.now, version, None),
            ApiRequest::StreamingList { .. } => {
                self.machine.bookmark(self.now, version, true);
                self.machine.ended(self.now + SHORT_WATCH);
            }
            other => panic!("{other:?} is not a list"),
        }
    }

    fn fail(&mut self, cause: &Cause) {
        self.machine.failed(self.now, cause, self.now);
    }

    fn refuse(&mut self, code: u16, message: &str) {
        self.fail(&Cause::Status(Refusal { code, message: message.to_owned(), retry_after: None }));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.poll(self.now);
    }

    fn event(&mut self, kind: EventKind, thing: Thing) {
        self.machine.event(self.now, kind, &thing);
    }

    fn diary(&mut self) -> String {
        std::mem::take(&mut self.machine.target().0).join(" ")
    }

    fn notices(&mut self) -> Vec<Notice> {
        self.machine.notices().collect()
    }
}

impl<T: ObjectTarget> Machine<T> {
    /// Returns whether `poll` would begin a request.
    fn would_send(&self, now: Instant) -> bool {
        self.exchange.is_none() && self.not_before.is_none_or(|at| at <= now)
    }
}
