//! Scripted streams, a paused clock, and a target that writes down what it is told.

use std::sync::Mutex;

use futures::stream;
use kube::runtime::watcher::Result as Item;
use poddns_core::Freshness;

use super::*;
use crate::feed::stats::FeedStats;
use crate::freshness::{Health, Watch};

/// A line for each call.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn read(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

impl Target for Diary {
    type Object = u32;

    fn begin(&mut self) {
        self.write("begin".to_owned());
    }

    fn apply(&mut self, object: &u32) {
        self.write(format!("+{object}"));
    }

    fn delete(&mut self, object: &u32) {
        self.write(format!("-{object}"));
    }

    fn end(&mut self) -> usize {
        self.write("end".to_owned());
        0
    }
}

struct Bench {
    driver: Driver<Diary>,
    diary: Diary,
    health: Health,
    signs: Arc<Signs>,
    stats: Arc<FeedStats>,
}

fn bench() -> Bench {
    let (diary, health, signs) = (Diary::default(), Health::default(), Arc::new(Signs::new()));
    let stats = Arc::<FeedStats>::default();
    let report = Report::new(&health, Watch::Pods, None, Arc::clone(&stats));
    let subject = Subject { resource: "pods", namespace: None, url: "https://api/".to_owned() };
    let driver = Driver::new(diary.clone(), subject, report, Arc::clone(&signs), 250);
    Bench { driver, diary, health, signs, stats }
}

fn status(code: u16) -> Box<Status> {
    Status::failure("as scripted", "Scripted").with_code(code).boxed()
}

fn watch_refused(code: u16) -> Item<Event<u32>> {
    Err(Error::WatchStartFailed(kube::Error::Api(status(code))))
}

fn list_refused(code: u16) -> Item<Event<u32>> {
    Err(Error::InitialListFailed(kube::Error::Api(status(code))))
}

fn unreachable() -> kube::Error {
    kube::Error::Service(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into())
}

fn garbage() -> kube::Error {
    kube::Error::SerdeError(serde_json::from_str::<u32>("<html>").unwrap_err())
}

fn listed(objects: &[u32]) -> Vec<Item<Event<u32>>> {
    let objects = objects.iter().map(|object| Ok(Event::InitApply(*object)));
    [Ok(Event::Init)].into_iter().chain(objects).chain([Ok(Event::InitDone)]).collect()
}

/// How many of the events were taken before the driver wanted another stream.
async fn taken(bench: &mut Bench, script: Vec<Item<Event<u32>>>) -> usize {
    let taken = Arc::new(Mutex::new(0));
    let counted = stream::iter(script).inspect({
        let taken = Arc::clone(&taken);
        move |_| *taken.lock().unwrap() += 1
    });
    bench.driver.follow(counted).await;
    Mutex::into_inner(Arc::into_inner(taken).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_list_then_changes() {
    let mut bench = bench();
    let mut script = listed(&[1, 2]);
    script.extend([Ok(Event::Apply(3)), Ok(Event::Delete(1))]);
    assert_eq!(bench.health.freshness(), Freshness::Unsynced);
    assert_eq!(taken(&mut bench, script).await, 6);
    assert_eq!(bench.diary.read(), "begin +1 +2 end +3 -1");
    assert_eq!(bench.health.freshness(), Freshness::Fresh);
    assert_eq!((bench.stats.pods.lists(), bench.stats.pods.events(), bench.stats.pods.errors()), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_cut_off_is_never_ended() {
    let mut bench = bench();
    let script = vec![Ok(Event::Init), Ok(Event::InitApply(1)), list_refused(500)];
    assert_eq!(taken(&mut bench, script).await, 3);
    assert_eq!(taken(&mut bench, listed(&[2])).await, 3);
    assert_eq!(bench.diary.read(), "begin +1 begin +2 end");
    assert_eq!(bench.stats.pods.lists(), 1);
}

#[tokio::test(start_paused = true)]
async fn refused_streams_become_pages_and_stay_so() {
    for code in [400, 422] {
        let mut bench = bench();
        assert_eq!(taken(&mut bench, vec![watch_refused(code), Ok(Event::Init)]).await, 1, "{code}");
        assert_eq!(bench.driver.listing, Listing::Paged(250), "{code}");
        assert_eq!(bench.stats.pods.errors(), 0, "{code} is how an older server answers, no failure");
        taken(&mut bench, listed(&[1])).await;
        assert_eq!(bench.driver.listing, Listing::Paged(250), "{code}");
    }
    for code in [401, 403, 429, 500, 503] {
        let mut bench = bench();
        taken(&mut bench, vec![watch_refused(code)]).await;
        assert_eq!(bench.driver.listing, Listing::Streamed, "{code} says nothing about streams");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_end_is_never_told_becomes_pages() {
    let mut bench = bench();
    let script = stream::iter([Ok(Event::Init), Ok(Event::InitApply(1))]).chain(stream::pending());
    let before = Instant::now();
    bench.driver.follow(script).await;
    assert_eq!(before.elapsed(), STREAM_SILENT);
    assert_eq!(bench.driver.listing, Listing::Paged(250));
    assert_eq!(bench.diary.read(), "begin +1", "and nothing is swept");

    // Closed by the server each time, as kube's watcher shows it.
    let mut bench = self::bench();
    let script =
        vec![Ok(Event::Init), Ok(Event::InitApply(1)), Ok(Event::Init), Ok(Event::Init), Ok(Event::Init)];
    assert_eq!(taken(&mut bench, script).await, 4);
    assert_eq!(bench.driver.listing, Listing::Paged(250));
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_that_moves_on_is_no_stall() {
    let mut bench = bench();
    let slow = stream::iter(listed(&[1, 2, 3])).then(|event| async {
        sleep(STREAM_SILENT / 2).await;
        event
    });
    bench.driver.follow(slow).await;
    assert_eq!(bench.driver.listing, Listing::Streamed);
    assert_eq!(bench.diary.read(), "begin +1 +2 +3 end");
}

#[tokio::test(start_paused = true)]
async fn a_lost_watch_is_stale_until_it_stands_again() {
    let mut bench = bench();
    let (signs, health) = (Arc::clone(&bench.signs), bench.health.clone());
    let mut script = listed(&[1]);
    script.push(Err(Error::WatchFailed(unreachable())));
    let quiet = stream::iter(script).chain(stream::pending());
    let watch = async move {
        // Far beyond any backoff.
        sleep(Duration::from_mins(2)).await;
        assert!(matches!(health.freshness(), Freshness::Stale { .. }));
        signs.accept();
        sleep(SETTLE / 2).await;
        assert!(matches!(health.freshness(), Freshness::Stale { .. }), "it may still be refused");
        sleep(SETTLE).await;
        assert_eq!(health.freshness(), Freshness::Fresh, "no event came, yet it is in step");
    };
    select! {
        () = bench.driver.follow(quiet) => panic!("the stream does not end"),
        () = watch => {}
    }
    assert_eq!(bench.stats.pods.errors(), 1);
    assert_eq!(bench.stats.pods.lists(), 1, "no new list was needed");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_taken_and_then_refused_is_never_fresh() {
    let mut bench = bench();
    let (signs, health) = (Arc::clone(&bench.signs), bench.health.clone());
    let mut script = listed(&[1]);
    script.push(Err(Error::WatchFailed(unreachable())));
    let too_old = stream::once(async move {
        signs.accept();
        sleep(SETTLE / 2).await;
        assert!(matches!(health.freshness(), Freshness::Stale { .. }));
        Err(Error::WatchError(status(410)))
    });
    let health = bench.health.clone();
    let relist = stream::once(async { Ok(Event::Init) }).chain(stream::once(async move {
        assert!(matches!(health.freshness(), Freshness::Resyncing { .. }));
        Ok(Event::InitDone)
    }));
    bench.driver.follow(stream::iter(script).chain(too_old).chain(relist)).await;
    assert_eq!(bench.health.freshness(), Freshness::Fresh);
    assert_eq!(bench.diary.read(), "begin +1 end begin end");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_lost_an_event_begins_with_a_list() {
    let losses = [
        Error::WatchFailed(garbage()),
        Error::WatchFailed(kube::Error::Api(status(500))),
        Error::WatchError(status(500)),
        Error::WatchStartFailed(kube::Error::Api(status(400))),
        Error::WatchStartFailed(kube::Error::Api(status(410))),
    ];
    for error in losses {
        let mut bench = bench();
        let text = error.to_string();
        let mut script = listed(&[1]);
        script.extend([Err(error), Ok(Event::Delete(1))]);
        assert_eq!(taken(&mut bench, script).await, 4, "{text}");
        assert_eq!(bench.diary.read(), "begin +1 end", "{text}");
        assert!(matches!(bench.health.freshness(), Freshness::Stale { .. }), "{text}");
    }
    let harmless = [
        Error::WatchFailed(unreachable()),
        Error::WatchStartFailed(unreachable()),
        Error::WatchStartFailed(kube::Error::Api(status(401))),
        Error::WatchStartFailed(kube::Error::Api(status(403))),
        Error::WatchStartFailed(kube::Error::Api(status(429))),
        Error::WatchStartFailed(kube::Error::Api(status(500))),
        Error::WatchError(status(410)),
        Error::WatchError(status(504)),
    ];
    for error in harmless {
        let mut bench = bench();
        let text = error.to_string();
        let mut script = listed(&[1]);
        script.extend([Err(error), Ok(Event::Delete(1))]);
        assert_eq!(taken(&mut bench, script).await, 5, "{text}");
        assert_eq!(bench.diary.read(), "begin +1 end -1", "{text}");
        assert_eq!(bench.health.freshness(), Freshness::Fresh, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_refused_again_and_again_begins_with_a_list() {
    // As for a resourceVersion that the server cannot read: 500, for ever.
    let mut bench = bench();
    let mut script = listed(&[1]);
    script.extend((0..9).map(|_| watch_refused(500)));
    assert_eq!(taken(&mut bench, script).await, 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_not_there_for_hours_is_no_reason_for_a_list() {
    let mut bench = bench();
    let mut script = listed(&[1]);
    script.extend((0..2000).map(|_| Err(Error::WatchStartFailed(unreachable()))));
    script.extend([Ok(Event::Delete(1)), Ok(Event::Apply(2))]);
    let before = Instant::now();
    assert_eq!(taken(&mut bench, script).await, 3 + 2000 + 2);
    assert_eq!(bench.diary.read(), "begin +1 end -1 +2");
    assert_eq!(bench.health.freshness(), Freshness::Fresh);
    // It is asked about every eight seconds, and no longer wait grows from failing for longer.
    let hours = before.elapsed().as_secs_f64() / 3600.0;
    assert!((3.5..5.0).contains(&hours), "2000 tries in {hours} hours");
}

#[tokio::test(start_paused = true)]
async fn lists_that_expire_halfway_are_tried_in_larger_pages() {
    let mut bench = bench();
    bench.driver.listing = Listing::Paged(250);
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let script = vec![Ok(Event::Init), Ok(Event::InitApply(1)), list_refused(410), Ok(Event::Init)];
        assert_eq!(taken(&mut bench, script).await, 3);
        sizes.push(bench.driver.listing);
    }
    assert_eq!(sizes, [1000, 4000, 4000, 4000].map(Listing::Paged));
    assert!(!bench.diary.read().contains("end"));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let mut bench = bench();
    let mut status = status(429);
    status.details = serde_json::from_str(r#"{"retryAfterSeconds": 30}"#).ok();
    let before = Instant::now();
    taken(&mut bench, vec![Err(Error::InitialListFailed(kube::Error::Api(status)))]).await;
    let waited = before.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_after_an_outage_does_not_wait_as_the_outage_did() {
    let mut bench = bench();
    let mut script = listed(&[1]);
    script.extend((0..9).map(|_| Err(Error::WatchStartFailed(unreachable()))));
    taken(&mut bench, script).await;
    let before = Instant::now();
    taken(&mut bench, vec![Err(Error::WatchError(status(410)))]).await;
    assert!(before.elapsed() <= Duration::from_secs(2), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn errors_before_the_first_list_are_told_while_unsynced() {
    let mut bench = bench();
    taken(&mut bench, vec![list_refused(403)]).await;
    let pending = bench.health.pending();
    let error = pending.first().and_then(|watch| watch.error.as_deref()).unwrap_or_default();
    assert!(error.starts_with("cannot list pods in all namespaces: 403"), "{error}");
    assert_eq!(bench.health.freshness(), Freshness::Unsynced);
}
