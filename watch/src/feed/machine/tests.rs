//! Histories of the model, and named cases.

use proptest::prelude::*;

use super::cause::{Cause, Refusal};
use super::limits::STREAM_SILENCE;
use super::standing::GRACE;
use super::*;
use crate::feed::decode::{EventKind, Malformed};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn the_index_is_the_cluster_after_any_history(seed: u64, steps in 0_u32..400) {
        let mut random = fastrand::Rng::with_seed(seed);
        model::live(steps, &mut |bound| random.u32(0..bound.max(1)));
    }
}

#[test]
fn the_fuzzers_corpus_ends_in_sync() {
    let corpus = crate::corpus("feed_machine");
    assert!(corpus.len() >= 4, "{}", corpus.len());
    for bytes in &corpus {
        model::live_bytes(bytes);
    }
}

/// Writes a word for each call; remembers what it holds.
#[derive(Default)]
struct Diary(Vec<String>);

/// Name, uid and version.
type Thing = (u32, u32, &'static str);

impl Target for Diary {
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

    fn malformed(&mut self, _: &Malformed) {}

    fn compare(&mut self, (name, ..): &Thing) -> Option<Difference> {
        self.0.push(format!("?{name}"));
        (*name > 100).then_some(Difference::Missing)
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

    fn key(&self, (name, ..): &Thing) -> Key {
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

const CACHED_FIRST: [Method; 3] = [Method::Cached, Method::Streaming, Method::Paged];
const STREAMING_FIRST: [Method; 2] = [Method::Streaming, Method::Paged];

impl Bench {
    fn new(methods: &[Method]) -> Self {
        let subject = Subject { resource: "pods", namespace: None, url: "https://api/".into() };
        let random = fastrand::Rng::with_seed(1);
        let machine = Machine::new(Diary::default(), subject, Listing::new(methods, 2), random);
        Self { machine, now: Instant::now() }
    }

    /// One whose watch at version 10 is established.
    fn in_sync(methods: &[Method]) -> Self {
        let mut bench = Self::new(methods);
        bench.confirm("a", "10");
        bench.list("10");
        assert!(matches!(bench.request(), Request::Watch { version, .. } if version == "10"));
        bench.accept();
        bench.pass(SETTLE);
        assert_eq!(bench.machine.standing(), Standing::Fresh);
        bench.diary();
        bench
    }

    /// The next request. Lets delays pass.
    fn request(&mut self) -> Request {
        for _ in 0..10 {
            match self.machine.poll(self.now) {
                Poll::Send(request) => return request,
                Poll::Wait(Some(at)) if !self.machine.is_waiting() => self.now = at,
                Poll::Wait(at) => panic!("it waits until {at:?}"),
            }
        }
        panic!("no request");
    }

    /// Whether the next request is made without delay.
    fn is_immediate(&mut self) -> bool {
        matches!(self.machine.clone_poll(self.now), Poll::Send(_))
    }

    fn confirm(&mut self, cluster: &str, revision: &str) {
        assert_eq!(self.request(), Request::Identify);
        self.machine.accepted(self.now);
        self.machine.identified(self.now, Some(cluster), revision);
    }

    fn accept(&mut self) {
        self.machine.accepted(self.now);
        self.machine.poll(self.now);
    }

    /// Makes a list of nothing by whatever method.
    fn list(&mut self, version: &str) {
        let request = self.request();
        self.machine.accepted(self.now);
        match request {
            Request::List { .. } => self.machine.list_ended(self.now, version, None),
            Request::StreamingList { .. } => {
                self.machine.bookmark(self.now, version, true);
                self.machine.ended(self.now + SHORT_WATCH);
            }
            other => panic!("{other:?} is no list"),
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

impl<T: Target> Machine<T> {
    /// What `poll` would return, without making a request.
    fn clone_poll(&mut self, now: Instant) -> Poll {
        match (&self.exchange, self.not_before) {
            (None, None) => Poll::Send(Request::Identify),
            (None, Some(at)) if at <= now => Poll::Send(Request::Identify),
            (_, at) => Poll::Wait(at),
        }
    }
}

#[test]
fn first_list_comes_from_the_cache() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.confirm("a", "10");
    assert_eq!(bench.request(), Request::List { read: Read::Any, limit: None, continue_token: None });
    bench.accept();
    bench.machine.listed(&(1, 1, "7"));
    assert_eq!(bench.machine.standing(), Standing::Unsynced { error: None });
    bench.machine.list_ended(bench.now, "9", None);
    assert_eq!(bench.machine.standing(), Standing::Unsynced { error: None }, "a watch must follow");
    assert_eq!(bench.diary(), "begin +1.1 end");
    assert!(matches!(bench.request(), Request::Watch { version, .. } if version == "9"));
    bench.accept();
    assert_eq!(bench.machine.standing(), Standing::Fresh);
}

#[test]
fn first_list_behind_a_snapshot_is_consistent() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.machine.filled_from(Some("a".to_owned()));
    bench.confirm("a", "10");
    assert!(matches!(bench.request(), Request::StreamingList { read: Read::Consistent, .. }));
}

#[test]
fn snapshot_of_another_cluster_is_refused() {
    let mut bench = Bench::new(&CACHED_FIRST);
    bench.machine.filled_from(Some("a".to_owned()));
    bench.confirm("b", "10");
    assert!(
        matches!(&bench.notices()[..], [Notice::SnapshotRefused { text }] if text.contains("another cluster"))
    );
    assert!(matches!(bench.machine.standing(), Standing::Unsynced { error: Some(_) }));
    assert!(matches!(bench.request(), Request::List { read: Read::Any, .. }));
}

#[test]
fn deletions_before_the_end_of_a_streaming_list_stay() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.event(EventKind::Added, (1, 1, "3"));
    bench.event(EventKind::Deleted, (2, 2, "11"));
    bench.event(EventKind::Modified, (3, 3, "12"));
    bench.event(EventKind::Added, (2, 2, "4"));
    bench.event(EventKind::Added, (3, 3, "5"));
    // Created again: newer than its deletion.
    bench.event(EventKind::Added, (2, 4, "13"));
    bench.machine.bookmark(bench.now, "13", true);
    assert_eq!(bench.diary(), "begin +1.1 -2.2 +3.3 +2.4 end");
    assert_eq!(bench.machine.standing(), Standing::Fresh);
    bench.event(EventKind::Deleted, (1, 1, "14"));
    assert_eq!(bench.diary(), "-1.1");
}

#[test]
fn list_cut_off_begins_again_without_a_sweep() {
    for methods in [&CACHED_FIRST[..], &STREAMING_FIRST[..]] {
        let mut bench = Bench::in_sync(methods);
        bench.refuse(410, "too old");
        bench.request();
        bench.accept();
        bench.fail(&Cause::Broken("reset".to_owned()));
        assert_eq!(bench.diary(), "begin");
        bench.confirm("a", "20");
        bench.list("20");
        assert_eq!(bench.diary(), "begin end");
    }
}

#[test]
fn refused_streaming_lists_become_pages() {
    for (code, counted) in [(400, 0), (422, 0), (500, 0)] {
        let mut bench = Bench::new(&STREAMING_FIRST);
        bench.confirm("a", "10");
        assert!(matches!(bench.request(), Request::StreamingList { .. }));
        bench.refuse(code, "no");
        assert!(bench.is_immediate(), "{code}");
        let notices = bench.notices();
        assert!(notices.iter().any(|notice| matches!(notice, Notice::GaveUp { .. })), "{code}");
        let failed = notices.iter().filter(|notice| matches!(notice, Notice::Failed { .. })).count();
        assert_eq!(failed, counted, "{code} is how an older server answers, no failure");
        assert!(matches!(bench.request(), Request::List { limit: Some(2), .. }), "{code}");
    }
}

#[test]
fn refusals_that_may_pass_keep_streaming_lists() {
    for code in [401, 403, 404, 429, 503] {
        let mut bench = Bench::new(&STREAMING_FIRST);
        bench.confirm("a", "10");
        for _ in 0..5 {
            while bench.request() == Request::Identify {
                bench.machine.accepted(bench.now);
                bench.machine.identified(bench.now, Some("a"), "10");
            }
            bench.refuse(code, "no");
        }
        assert_eq!(bench.machine.listing.choose(&Read::Consistent), Method::Streaming, "{code}");
    }
}

#[test]
fn streaming_list_without_an_end_becomes_pages() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.event(EventKind::Added, (1, 1, "3"));
    bench.now += STREAM_SILENCE;
    assert!(matches!(bench.machine.poll(bench.now), Poll::Send(Request::Identify)), "heard too long ago");
    bench.machine.accepted(bench.now);
    bench.machine.identified(bench.now, Some("a"), "10");
    assert!(matches!(bench.request(), Request::List { limit: Some(2), .. }));
    assert_eq!(bench.diary(), "begin +1.1", "nothing is swept");
}

#[test]
fn streaming_lists_that_end_early_become_pages() {
    let mut bench = Bench::new(&STREAMING_FIRST);
    for _ in 0..2 {
        while bench.request() == Request::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
        }
        bench.accept();
        bench.machine.ended(bench.now);
    }
    assert_eq!(bench.machine.listing.choose(&Read::Consistent), Method::Paged);
}

#[test]
fn page_expired_between_two_begins_again_with_larger_pages() {
    let mut bench = Bench::new(&[Method::Paged]);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "10", Some("token".to_owned()));
    assert!(matches!(bench.request(), Request::List { continue_token: Some(_), .. }));
    bench.refuse(410, "The provided continue parameter is too old");
    assert!(bench.is_immediate());
    let expected = Request::List { read: Read::Consistent, limit: Some(8), continue_token: None };
    assert_eq!(bench.request(), expected);
}

#[test]
fn pages_of_two_moments_are_watched_from_the_first() {
    let mut bench = Bench::new(&[Method::Paged]);
    bench.confirm("a", "10");
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "10", Some("token".to_owned()));
    bench.request();
    bench.accept();
    bench.machine.list_ended(bench.now, "15", None);
    assert!(matches!(bench.request(), Request::Watch { version, .. } if version == "10"));
}

#[test]
fn endless_pages_are_an_error() {
    let mut bench = Bench::new(&[Method::Paged]);
    bench.confirm("a", "10");
    for _ in 0..2 {
        bench.request();
        bench.accept();
        bench.machine.list_ended(bench.now, "10", Some("same".to_owned()));
    }
    assert!(
        bench
            .notices()
            .iter()
            .any(|notice| matches!(notice, Notice::Failed { text, .. } if text.contains("same")))
    );
}

#[test]
fn expired_watch_lists_at_once_and_not_behind_itself() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.event(EventKind::Modified, (1, 1, "12"));
    bench.refuse(410, "too old resource version");
    assert!(bench.is_immediate());
    assert!(matches!(bench.machine.standing(), Standing::Stale { .. }), "changes are lost");
    let read = Read::NotOlderThan("12".to_owned());
    assert_eq!(bench.request(), Request::List { read, limit: None, continue_token: None });
    bench.accept();
    assert!(matches!(bench.machine.standing(), Standing::Resyncing { .. }));
}

#[test]
fn lists_after_an_outage_are_spread_by_what_was_lost() {
    let latest = |outage| {
        let delay = |seed| {
            let mut bench = Bench::in_sync(&CACHED_FIRST);
            bench.machine.random = fastrand::Rng::with_seed(seed);
            bench.fail(&Cause::Broken("reset".to_owned()));
            bench.now += Duration::from_secs(outage);
            bench.confirm("a", "20");
            bench.request();
            let before = bench.now;
            bench.refuse(410, "too old resource version");
            bench.machine.not_before.map_or(Duration::ZERO, |at| at - before)
        };
        (0..100).map(delay).max().unwrap().as_millis()
    };
    assert!((250..=550).contains(&latest(4)), "{}", latest(4));
    assert!((500..=1000).contains(&latest(600)), "no list is more than a second late: {}", latest(600));
}

#[test]
fn repeated_expiry_is_slowed_down() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.refuse(410, "too old");
    bench.list("10");
    bench.request();
    bench.refuse(410, "too old");
    assert!(!bench.is_immediate());
}

#[test]
fn server_behind_the_index_is_read_consistently() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.refuse(410, "too old");
    assert!(matches!(bench.request(), Request::List { read: Read::NotOlderThan(_), .. }));
    bench.refuse(504, "Timeout: Too large resource version: 10, current: 5");
    assert!(bench.is_immediate());
    assert!(matches!(bench.request(), Request::StreamingList { read: Read::Consistent, .. }));
}

#[test]
fn error_events_lead_to_what_they_mean() {
    for (code, lists) in [(410, true), (429, false), (500, false), (503, false), (504, false), (418, true)] {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        bench.refuse(code, "as scripted");
        let mut request = bench.request();
        if request == Request::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
            request = bench.request();
        }
        assert_eq!(matches!(request, Request::List { .. }), lists, "{code}: {request:?}");
    }
}

#[test]
fn third_internal_error_in_a_row_leads_to_a_list() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    for number in 1..=3 {
        bench.refuse(500, "etcd is ill");
        let mut request = bench.request();
        if request == Request::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
            request = bench.request();
        }
        assert_eq!(matches!(request, Request::List { .. }), number == 3, "{number}");
    }
}

#[test]
fn retry_after_is_waited_for_but_not_for_ever() {
    for (asked, least, most) in [(7, 7, 8), (1_000_000, 120, 121)] {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        let retry_after = Some(Duration::from_secs(asked));
        bench.fail(&Cause::Status(Refusal { code: 429, message: String::new(), retry_after }));
        let delay = bench.machine.not_before.unwrap() - bench.now;
        assert!((least..most).contains(&delay.as_secs()), "{delay:?}");
    }
}

#[test]
fn history_that_went_back_is_listed_consistently() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.fail(&Cause::Broken("restart".to_owned()));
    bench.confirm("a", "4");
    assert!(matches!(bench.request(), Request::StreamingList { read: Read::Consistent, .. }));
    assert!(
        bench
            .notices()
            .iter()
            .any(|notice| matches!(notice, Notice::OutOfSync { text } if text.contains("backup")))
    );
}

#[test]
fn bookmark_or_event_from_the_past_leads_to_a_list() {
    for bookmark in [true, false] {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        if bookmark {
            bench.machine.bookmark(bench.now, "9", false);
        } else {
            bench.event(EventKind::Modified, (1, 1, "9"));
        }
        assert_eq!(bench.diary(), "", "not applied");
        bench.confirm("a", "10");
        assert!(matches!(bench.request(), Request::List { read: Read::NotOlderThan(_), .. }));
    }
}

#[test]
fn deletion_from_the_past_is_applied() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.event(EventKind::Deleted, (1, 1, "9"));
    assert_eq!(bench.diary(), "-1.1");
    assert!(bench.machine.is_waiting());
    assert_eq!(bench.machine.version.as_str(), "10");
}

#[test]
fn another_cluster_is_stale_until_it_is_listed() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.reconnect(bench.now);
    bench.confirm("b", "1000");
    assert!(
        matches!(bench.machine.standing(), Standing::Stale { error, .. } if error.contains("another cluster"))
    );
    bench.list("1000");
    assert_eq!(bench.machine.standing(), Standing::Fresh);
    assert_eq!(bench.machine.cluster(), Some("b"));
}

#[test]
fn server_without_an_identity_is_watched_all_the_same() {
    for code in [403, 404, 400] {
        let mut bench = Bench::new(&CACHED_FIRST);
        assert_eq!(bench.request(), Request::Identify);
        bench.refuse(code, "no");
        assert!(matches!(bench.request(), Request::List { .. }), "{code}");
    }
}

#[test]
fn identity_refused_at_first_is_asked_again() {
    let mut bench = Bench::new(&CACHED_FIRST);
    assert_eq!(bench.request(), Request::Identify);
    bench.refuse(403, "no");
    assert!(matches!(bench.request(), Request::List { .. }));
    bench.refuse(403, "no");
    bench.confirm("a", "10");
    bench.list("10");
    assert_eq!(bench.machine.cluster(), Some("a"));
}

#[test]
fn identity_learned_late_leads_to_a_list() {
    let mut bench = Bench::new(&CACHED_FIRST);
    assert_eq!(bench.request(), Request::Identify);
    bench.refuse(403, "no");
    bench.list("10");
    assert!(matches!(bench.request(), Request::Watch { .. }));
    bench.accept();
    bench.machine.reconnect(bench.now);
    // Its history is longer, so its revision does not give it away.
    bench.confirm("b", "1000");
    assert!(
        matches!(bench.machine.standing(), Standing::Stale { error, .. } if error.contains("may be another"))
    );
    bench.list("1000");
    assert_eq!((bench.machine.standing(), bench.machine.cluster()), (Standing::Fresh, Some("b")));
    bench.machine.reconnect(bench.now);
    bench.confirm("b", "1001");
    assert!(matches!(bench.request(), Request::Watch { .. }), "known from now on");
}

#[test]
fn malformed_change_leads_to_a_list() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.unreadable(bench.now, EventKind::Modified, "nonsense".to_owned());
    assert!(matches!(bench.machine.goal, Goal::List(Read::NotOlderThan(_))));
}

#[test]
fn watch_that_ends_in_time_is_begun_at_once_and_stays_fresh() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.pass(SHORT_WATCH);
    bench.machine.heard(bench.now);
    bench.machine.ended(bench.now);
    assert!(bench.is_immediate());
    assert!(matches!(bench.request(), Request::Watch { .. }));
    bench.accept();
    bench.pass(GRACE * 2);
    assert_eq!(bench.machine.standing(), Standing::Fresh);
    assert_eq!(bench.notices().iter().filter(|notice| matches!(notice, Notice::Failed { .. })).count(), 0);
}

#[test]
fn watches_that_end_at_once_are_begun_more_and_more_slowly() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    let before = bench.now;
    for _ in 0..50 {
        bench.machine.ended(bench.now);
        while bench.request() == Request::Identify {
            bench.machine.accepted(bench.now);
            bench.machine.identified(bench.now, Some("a"), "10");
        }
        bench.accept();
    }
    assert!(bench.now - before > Duration::from_mins(5), "{:?} for fifty watches", bench.now - before);
}

#[test]
fn anything_that_keeps_a_watch_down_is_stale_after_the_grace() {
    let causes = [
        Cause::Credentials("the plugin hangs".to_owned()),
        Cause::Unreachable("refused".to_owned()),
        Cause::Status(Refusal { code: 401, ..Refusal::default() }),
        Cause::Status(Refusal { code: 503, ..Refusal::default() }),
        Cause::Broken("reset".to_owned()),
    ];
    for cause in causes {
        let mut bench = Bench::in_sync(&CACHED_FIRST);
        let down = bench.now;
        bench.fail(&cause);
        bench.pass(GRACE / 2);
        assert_eq!(bench.machine.standing(), Standing::Fresh, "{cause:?}");
        bench.pass(GRACE / 2);
        let standing = bench.machine.standing();
        assert!(
            matches!(standing, Standing::Stale { since, .. } if since == down),
            "{cause:?}: {standing:?}"
        );
    }
}

#[test]
fn server_that_gives_no_answer_is_stale_after_the_grace() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.ended(bench.now);
    bench.request();
    assert!(matches!(bench.machine.poll(bench.now), Poll::Wait(Some(at)) if at <= bench.now + GRACE));
    bench.pass(GRACE);
    assert!(matches!(bench.machine.standing(), Standing::Stale { .. }));
}

#[test]
fn quiet_watch_lasts_until_its_end() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    for _ in 0..3 {
        bench.pass(Duration::from_secs(75));
        bench.machine.bookmark(bench.now, "10", false);
        assert!(bench.machine.is_waiting());
    }
    assert_eq!(
        (bench.notices(), bench.machine.standing()),
        (vec![Notice::Listed { method: Method::Cached, removed: 0 }], Standing::Fresh)
    );
}

#[test]
fn server_that_is_back_is_tried_at_once() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    for _ in 0..20 {
        bench.fail(&Cause::Unreachable("refused".to_owned()));
        bench.request();
    }
    bench.fail(&Cause::Unreachable("refused".to_owned()));
    let delay = bench.machine.not_before.unwrap() - bench.now;
    assert!(delay <= Duration::from_millis(500), "{delay:?}");
    bench.machine.server_is_up();
    assert!(bench.is_immediate());
    // A server that refuses is not hurried.
    bench.request();
    bench.refuse(429, "no");
    bench.machine.server_is_up();
    assert!(!bench.is_immediate());
}

#[test]
fn watch_with_changes_behind_it_is_fresh_once_it_has_caught_up() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.fail(&Cause::Broken("reset".to_owned()));
    bench.now += GRACE * 2;
    bench.confirm("a", "20");
    bench.request();
    bench.accept();
    bench.event(EventKind::Modified, (1, 1, "15"));
    assert!(matches!(bench.machine.standing(), Standing::Stale { .. }));
    bench.event(EventKind::Modified, (1, 1, "20"));
    assert_eq!(bench.machine.standing(), Standing::Fresh);
}

#[test]
fn forbidden_after_a_restart_is_no_missing_role() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.fail(&Cause::Broken("restart".to_owned()));
    bench.confirm("a", "10");
    bench.request();
    bench.refuse(403, "pods is forbidden");
    let text = |bench: &mut Bench| format!("{:?}", bench.notices().pop());
    assert!(text(&mut bench).contains("loads its RBAC rules"));
    bench.now += Duration::from_mins(1);
    bench.confirm("a", "10");
    bench.request();
    bench.refuse(403, "pods is forbidden");
    assert!(text(&mut bench).contains("ClusterRole"), "it has had time enough");
}

const HOUR: Duration = Duration::from_hours(1);

/// One that compares.
fn resyncing() -> Bench {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.resync_every(Some(HOUR));
    assert_eq!(bench.machine.poll_resync(bench.now), None, "not at once");
    assert_eq!(bench.machine.poll_resync(bench.now + HOUR / 2), None);
    bench.now += HOUR * 2;
    let read = Read::NotOlderThan("10".to_owned());
    let expected = Request::List { read, limit: None, continue_token: None };
    assert_eq!(bench.machine.poll_resync(bench.now), Some(expected));
    assert_eq!(bench.machine.standing(), Standing::Fresh);
    bench.notices();
    bench
}

fn differences(bench: &mut Bench) -> Vec<(Difference, String)> {
    let differs = |notice| match notice {
        Notice::Differs { difference, object } => Some((difference, object)),
        _ => None,
    };
    bench.notices().into_iter().filter_map(differs).collect()
}

#[test]
fn comparison_mends_what_is_certain() {
    let mut bench = resyncing();
    bench.event(EventKind::Modified, (102, 1, "11"));
    bench.machine.resync_listed(&(1, 1, "5"));
    bench.machine.resync_listed(&(101, 1, "10"));
    bench.machine.resync_listed(&(102, 1, "5"));
    bench.machine.resync_listed(&(103, 1, "12"));
    assert_eq!(bench.diary(), "begin +102.1 ?1 ?101 +101.1 ?102 ?103", "one is touched, one is newer");
    assert_eq!(differences(&mut bench), [(Difference::Missing, "101".to_owned())]);
}

#[test]
fn comparison_sweeps_once_the_watch_has_come_as_far() {
    let mut bench = resyncing();
    bench.machine.resync_ended("12");
    assert_eq!(bench.diary(), "begin");
    bench.event(EventKind::Deleted, (1, 1, "11"));
    assert_eq!(bench.diary(), "-1.1");
    bench.machine.bookmark(bench.now, "12", false);
    assert_eq!(bench.diary(), "compared");
    assert!(bench.machine.notices.contains(&Notice::Compared));
    assert_eq!(differences(&mut bench), [(Difference::Gone, "ghost".to_owned())]);
}

#[test]
fn comparison_that_is_interrupted_sweeps_nothing() {
    let mut bench = resyncing();
    bench.refuse(410, "too old");
    bench.list("20");
    bench.machine.resync_listed(&(101, 1, "5"));
    bench.machine.resync_ended("15");
    assert_eq!(bench.diary(), "begin begin end");
    assert!(!bench.machine.is_resyncing());
    let given_up = |notice: &Notice| matches!(notice, Notice::ComparisonFailed { .. });
    assert_eq!(bench.notices().iter().filter(|notice| given_up(notice)).count(), 1);
}

#[test]
fn comparison_is_off_without_an_interval() {
    let mut bench = Bench::in_sync(&CACHED_FIRST);
    bench.machine.resync_every(None);
    assert_eq!(bench.machine.poll_resync(bench.now + HOUR * 1000), None);
    assert_eq!(bench.machine.resync_deadline(), None);
}
