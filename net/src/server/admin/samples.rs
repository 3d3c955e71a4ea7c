//! Server states for tests, with all optional parts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use poddns_core::{Freshness, Label, NoPods, Outcome, PodLookup, Request, Transport, Unknown, respond};
use poddns_watch::{IndexStats, Resource, ResyncCounts, WatchCounts, WatchStatus};

use crate::server::answer::ResponseInputs;
use crate::server::audit::Audit;
use crate::server::pods::{PodsReport, ServedPods, SharedPods, SnapshotReport};
use crate::server::settings::Settings;
use crate::server::state::{DnsListener, LogLosses, OptionInForce, ServerState};
use crate::server::transfer::TransferService;

/// Pods with a freshness and a report that a test sets.
struct Reported(Freshness, PodsReport);

impl PodLookup for Reported {
    fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
        Ok(false)
    }

    fn contains(&self, _: &Label, _: IpAddr) -> Result<bool, Unknown> {
        Ok(false)
    }

    fn freshness(&self) -> Freshness {
        self.0
    }
}

impl ServedPods for Reported {
    fn report(&self) -> PodsReport {
        self.1.clone()
    }
}

/// Returns the report of an index with watches and a snapshot.
pub(crate) fn full_report(freshness: Freshness) -> (Freshness, PodsReport) {
    let watch = |resource, namespace: Option<&str>| WatchStatus {
        resource,
        namespace: namespace.map(|name| name.parse().unwrap()),
        freshness,
        error: (freshness != Freshness::Fresh).then(|| "connection refused".to_owned()),
    };
    let feed = |resource| WatchCounts { resource, events: 7, lists: 1, errors: 2, malformed: 3, panics: 0 };
    let snapshot = SnapshotReport {
        path: "/var/lib/poddns/snapshot".into(),
        restored: true,
        synced_at: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        bytes: Some(4096),
        written: 5,
        failed: 1,
        error: Some("no space left".to_owned()),
    };
    let report = PodsReport {
        index: Some(IndexStats { pods: 3, addresses: 4, namespaces: 2, bytes: 1_234_567 }),
        watches: vec![watch(Resource::Pods, Some("web")), watch(Resource::Namespaces, None)],
        feeds: vec![feed(Resource::Pods), feed(Resource::Namespaces)],
        resync: ResyncCounts { complete: 2, failed: 1, missing: 0, changed: 0, gone: 0 },
        snapshot: Some(snapshot),
    };
    (freshness, report)
}

/// Counts a response: REFUSED, outside of all zones.
pub(crate) fn count_answer(state: &ServerState) {
    let query = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x07example\0\0\x01\0\x01";
    let ResponseInputs { settings, .. } = state.current();
    let request = Request::new(Transport::Tcp, [127, 0, 0, 1].into(), 0);
    let outcome = respond(&settings.answers(), &NoPods, query, &request, &mut [0; 512]);
    let Outcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
    state.tcp.reply(&reply);
}

/// Returns the state of a server with pods of this freshness and report.
pub(crate) fn state((freshness, report): (Freshness, PodsReport)) -> Arc<ServerState> {
    let pods = SharedPods(Arc::new(Reported(freshness, report)));
    let audit = Some(Arc::new(Audit::new(Some("/var/lib/poddns/audit".into()), 1, [7; 16])));
    let current = ResponseInputs {
        settings: Arc::new(Settings::default()),
        pods,
        cookies: None,
        audit,
        transfers: None,
    };
    let admin = vec![([127, 0, 0, 1], 8053).into()];
    let state = ServerState::new(current, admin, LogLosses::default);
    let option = |name, values: &[&str], note, source, place: Option<&str>| OptionInForce {
        name,
        values: values.iter().map(|&value| value.to_owned()).collect(),
        note,
        source,
        place: place.map(str::to_owned),
    };
    let configured = ([127, 0, 0, 1], 0).into();
    state.listeners().open.push(DnsListener {
        configured,
        address: ([127, 0, 0, 1], 1053).into(),
        udp: Vec::new(),
    });
    state.set_options(vec![
        option("ttl", &["5"], None, "default", None),
        option("pod-cidr", &["10.42.0.0/16", "fd00:10:42::/48"], None, "flag", Some("--pod-cidr")),
        option("cookie-secret-file", &[], Some("random, a new one every hour"), "default", None),
    ]);
    let complete = freshness != Freshness::Unsynced;
    let service = TransferService::sample(state.current().pods, &state.transfers, complete);
    state.current.send_modify(|current| current.transfers = Some(service));
    Arc::new(state)
}
