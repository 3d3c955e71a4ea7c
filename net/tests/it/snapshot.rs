//! Snapshots: the daemon saves its index to a file, and loads it at the start.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::support::{POD, one_pod, start};
use poddns_test_support::api_server::ApiServer;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{SERVFAIL, answered, denied, lookup};
use poddns_test_support::wait::until;
use poddns_watch::snapshot_format::{SnapshotDecoder, SnapshotEncoder, SnapshotHeader, SnapshotItem};
use serde_json::Value;
use tempfile::TempDir;

const HERE: IpAddr = IpAddr::V4(POD);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 1, 6));

/// Extended errors (RFC 8914): Stale Answer, Not Ready, Stale NXDOMAIN Answer, No Reachable Authority.
const STALE: Option<u16> = Some(3);
const NOT_READY: Option<u16> = Some(14);
const STALE_NXDOMAIN: Option<u16> = Some(19);
const TOO_OLD: Option<u16> = Some(22);

const WRITTEN: &str = "poddns_snapshot_writes_total{result=\"success\"}";
const FAILED: &str = "poddns_snapshot_writes_total{result=\"failure\"}";

/// A cluster, and a folder for daemons that watch it.
struct Place {
    server: ApiServer,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { server: one_pod(), folder: tempfile::tempdir().unwrap() }
    }

    /// Returns the path of the snapshot, the only file that the daemons write.
    fn snapshot(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let mut arguments = vec![
            "--listen=127.0.0.1:0".to_owned(),
            format!("--kubeconfig={}", self.server.kubeconfig().display()),
            format!("--snapshot={}", self.snapshot().display()),
        ];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    fn daemon(&self, more: &[&str]) -> Daemon {
        let arguments = self.arguments(more);
        start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts a daemon and kills it once it has written a snapshot.
    fn leave_snapshot(&self) {
        let daemon = self.daemon(&["--snapshot-interval=1s"]);
        until("a snapshot", || daemon.metric(WRITTEN) > 0);
    }

    /// Changes the time at which the index was in sync in the snapshot.
    fn date(&self, synced_at: SystemTime) {
        let octets = fs::read(self.snapshot()).unwrap();
        let decoder = SnapshotDecoder::new(&octets[..]).unwrap();
        let header = SnapshotHeader { synced_at, ..decoder.header().clone() };
        let mut copy = Vec::new();
        let mut encoder = SnapshotEncoder::new(&mut copy, &header);
        let each = |item: SnapshotItem<'_>| match item {
            SnapshotItem::Namespace(namespace) => encoder.namespace(&namespace),
            SnapshotItem::Pod(pod) => encoder.pod(&pod),
        };
        decoder.read(each).unwrap();
        encoder.finish().unwrap();
        fs::write(self.snapshot(), copy).unwrap();
    }
}

#[test]
fn restarted_daemon_answers_stale_without_api_server() {
    let mut place = Place::new();
    place.leave_snapshot();
    place.server.stop_spawned();
    place.date(SystemTime::now() - Duration::from_hours(1));
    let daemon = place.daemon(&[]);
    assert_eq!(lookup(&daemon, "default", HERE), answered(HERE, STALE));
    assert_eq!(lookup(&daemon, "default", ELSEWHERE), denied(STALE_NXDOMAIN));
    let (code, ready) = daemon.get("/readyz");
    assert_eq!(code, 200);
    let age =
        ready.strip_prefix("ready\nstale: the pods are ").and_then(|rest| rest.strip_suffix(" s old\n"));
    assert!(age.unwrap().parse::<u64>().unwrap() >= 3600, "{ready}");
    let status = daemon.status();
    assert_eq!((&status["state"], &status["snapshot"]["restored"]), (&"ready".into(), &true.into()));
    assert!(status["index"]["freshness"]["age_seconds"].as_u64() >= Some(3600), "{status}");
    assert_eq!(daemon.metric("poddns_snapshot_restored"), 1);
    assert_eq!(daemon.metric("poddns_index_synced"), 1);
    assert!(daemon.metric_text("poddns_index_age_seconds").parse::<f64>().unwrap() >= 3600.0);
    daemon.wait_for_log("answering from the snapshot, marked stale, until the cluster has been listed");
}

#[test]
fn max_staleness_counts_through_a_restart() {
    let mut place = Place::new();
    place.leave_snapshot();
    place.server.stop_spawned();
    place.date(SystemTime::now() - Duration::from_hours(1));
    let daemon = place.daemon(&["--max-staleness=59m"]);
    let answer = lookup(&daemon, "default", HERE);
    assert_eq!((answer.rcode, answer.extended_error), (SERVFAIL, TOO_OLD));
    assert_eq!(daemon.get("/readyz").0, 503);
    drop(daemon);
    let daemon = place.daemon(&["--max-staleness=2h"]);
    assert_eq!(lookup(&daemon, "default", HERE), answered(HERE, STALE));
    drop(daemon);
    place.date(SystemTime::now() + Duration::from_hours(1));
    let daemon = place.daemon(&["--max-staleness=7d"]);
    daemon.wait_for_log("the snapshot is from the future by this host's clock");
    let answer = lookup(&daemon, "default", HERE);
    assert_eq!((answer.rcode, answer.extended_error), (SERVFAIL, TOO_OLD), "of unknown age is too old");
}

#[test]
fn snapshot_is_written_at_exit() {
    let place = Place::new();
    let mut daemon = place.daemon(&["--snapshot-interval=1d"]);
    until("in sync", || daemon.status()["index"]["freshness"]["state"] == "fresh");
    assert!(!place.snapshot().exists());
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    let decoder = SnapshotDecoder::new(fs::File::open(place.snapshot()).unwrap()).unwrap();
    assert!(decoder.header().synced_at.elapsed().unwrap() < Duration::from_mins(1));
    assert_eq!(decoder.read(|_| {}).unwrap().pods, 1);
    // With the API server running, the daemon gets in sync again.
    let daemon = place.daemon(&[]);
    until("in sync", || lookup(&daemon, "default", HERE) == answered(HERE, None));
}

#[test]
fn unusable_snapshot_is_reported_and_ignored() {
    let mut place = Place::new();
    place.leave_snapshot();
    place.server.stop_spawned();
    let sound = fs::read(place.snapshot()).unwrap();
    let mut newer = sound.clone();
    newer[8] = 9;
    let mut damaged = sound.clone();
    damaged[sound.len() - 1] ^= 1;
    for (octets, why) in [
        (&sound[..sound.len() / 2], "it was cut off"),
        (&damaged, "it is damaged"),
        (&newer, "it is of format 9, written by a newer poddns"),
        (b"something else", "is not a snapshot of poddns"),
    ] {
        fs::write(place.snapshot(), octets).unwrap();
        let daemon = place.daemon(&[]);
        daemon.wait_for_log(why);
        daemon.wait_for_log("nothing is known until the cluster has been listed");
        let answer = lookup(&daemon, "default", HERE);
        assert_eq!((answer.rcode, answer.extended_error), (SERVFAIL, NOT_READY));
        assert_eq!(daemon.get("/readyz").0, 503);
        assert_eq!(daemon.metric("poddns_snapshot_restored"), 0);
        assert!(daemon.status()["snapshot"]["error"].as_str().unwrap().contains(why));
    }
    fs::write(place.snapshot(), &sound).unwrap();
    let daemon = place.daemon(&["--pod-names"]);
    daemon.wait_for_log("it was written with pod-names: false, and now it is pod-names: true");
}

#[test]
fn foreign_file_is_not_overwritten() {
    let place = Place::new();
    fs::write(place.snapshot(), "precious").unwrap();
    let daemon = place.daemon(&["--snapshot-interval=1s"]);
    daemon.wait_for_log("the file exists and is not a snapshot of poddns");
    until("tried again", || daemon.metric(FAILED) > 2);
    assert_eq!(daemon.metric(WRITTEN), 0);
    assert_eq!(fs::read(place.snapshot()).unwrap(), b"precious");
    assert_eq!(lookup(&daemon, "default", HERE), answered(HERE, None));
    let told = daemon.log().matches("the file exists and is not a snapshot of poddns").count();
    assert_eq!(told, 1, "the same is not said again and again");
    fs::remove_file(place.snapshot()).unwrap();
    daemon.wait_for_log("snapshots are written again");
    assert_eq!(daemon.status()["snapshot"]["error"], Value::Null);
}

#[test]
fn reload_can_change_snapshot_file() {
    let place = Place::new();
    let [config, one, two] = ["poddns.toml", "one", "two"].map(|name| place.folder.path().join(name));
    let kubeconfig = place.server.kubeconfig();
    let configure = |more: String| {
        let text = format!("kubeconfig = {kubeconfig:?}\nlisten = [\"127.0.0.1:0\"]\n{more}");
        fs::write(&config, text).unwrap();
    };
    let keep = |path: &PathBuf| configure(format!("snapshot = {path:?}\nsnapshot-interval = \"1s\"\n"));
    keep(&one);
    let daemon = start(&["--config", config.to_str().unwrap()]);
    until("the first", || one.exists());
    keep(&two);
    daemon.signal("HUP");
    until("the second", || two.exists());
    assert_eq!(daemon.status()["snapshot"]["path"], two.to_str().unwrap());
    configure(String::new());
    daemon.signal("HUP");
    until("none", || daemon.status()["snapshot"] == Value::Null);
    assert_eq!(lookup(&daemon, "default", HERE), answered(HERE, None));
}

/// Limits the size of files (`RLIMIT_FSIZE`): a write beyond it raises SIGXFSZ.
#[test]
fn snapshot_above_file_size_limit_fails() {
    let place = Place::new();
    let daemon = place.daemon(&["--snapshot-interval=1s"]);
    until("a snapshot", || daemon.metric(WRITTEN) > 0);
    let before = fs::read(place.snapshot()).unwrap();
    let pid = daemon.pid().to_string();
    let limited = std::process::Command::new("prlimit").args(["--fsize=16", "--pid", &pid]).status();
    assert!(limited.expect("prlimit of util-linux").success());
    daemon.wait_for_log("File too large");
    until("tried again", || daemon.metric(FAILED) > 1);
    // These two are the kubeconfig and the snapshot.
    until("nothing is left beside it", || fs::read_dir(place.folder.path()).unwrap().count() == 2);
    let decoder =
        SnapshotDecoder::new(&fs::read(place.snapshot()).unwrap()[..]).unwrap().read(|_| {}).unwrap();
    assert_eq!((decoder.pods, fs::read(place.snapshot()).unwrap().len()), (1, before.len()));
    assert_eq!(lookup(&daemon, "default", HERE), answered(HERE, None));
}

/// Puts the snapshot on a file system with room for one file.
#[cfg(feature = "system-tests")]
#[test]
fn full_disk_keeps_previous_snapshot() {
    let place = Place::new();
    let disk = place.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut mounted = poddns_test_support::daemon::without_settings(std::process::Command::new("unshare"));
    // The only block of the file system; the next snapshot needs one, too.
    let script = "mount -t tmpfs -o size=4k tmpfs \"$1\" && shift && exec \"$@\"";
    mounted.args(["--map-root-user", "--mount", "--", "sh", "-c", script, "sh"]).arg(&disk);
    mounted.arg(env!("CARGO_BIN_EXE_poddnsd-of-tests"));
    let snapshot = format!("--snapshot={}", disk.join("snapshot").display());
    let mut arguments = place.arguments(&["--snapshot-interval=1s", &snapshot]);
    arguments.retain(|argument| !argument.ends_with("/state"));
    let daemon = Daemon::launch(mounted, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    daemon.wait_for_log("No space left on device");
    until("tried again", || daemon.metric(FAILED) > 1);
    assert_eq!(daemon.metric(WRITTEN), 1);
    // The path as this process sees it, by the daemon's mount namespace.
    let seen = PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), disk.display()));
    let decoder = SnapshotDecoder::new(fs::File::open(seen.join("snapshot")).unwrap()).unwrap();
    assert_eq!(decoder.read(|_| {}).unwrap().pods, 1);
    until("nothing is left beside it", || fs::read_dir(&seen).unwrap().count() == 1);
    assert_eq!(lookup(&daemon, "default", HERE), answered(HERE, None));
}
