//! A process that is killed while it writes a snapshot leaves the previous one intact.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use poddns_watch::snapshot_format::SnapshotDecoder;
use poddns_watch::{Feed, Scope, Source};

/// Environment variable of the process to be killed: the folder to which it writes.
const VICTIM: &str = "PODDNS_TEST_SNAPSHOT_VICTIM";
const PODS: u32 = 5000;
const KILLS: usize = 10;

fn pods() -> String {
    let pod = |number: u32| {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "default", "name": format!("web-{number}"), "uid": format!("{number}")},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
        })
    };
    let items: Vec<_> = (0..PODS).map(pod).collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// Writes snapshots until the process is killed.
fn write_for_ever(folder: &Path) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let feed =
        runtime.block_on(Feed::open(Source::File(folder.join("pods.json")), Scope::default())).unwrap();
    let mut recorder = feed.recorder();
    loop {
        recorder.write(&folder.join("snapshot")).unwrap();
    }
}

fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "tmp")).collect()
}

#[test]
fn killed_writer_leaves_previous_snapshot() {
    if let Some(folder) = env::var_os(VICTIM) {
        write_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pods.json"), pods()).unwrap();
    let snapshot = folder.path().join("snapshot");
    let mut cut_off = 0;
    for _ in 0..KILLS {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "snapshot_killed::killed_writer_leaves_previous_snapshot"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_mins(1);
        while !snapshot.exists() || unfinished(folder.path()).is_empty() {
            assert!(Instant::now() < end && victim.try_wait().unwrap().is_none(), "it writes");
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        let decoder = SnapshotDecoder::new(File::open(&snapshot).unwrap()).unwrap();
        assert_eq!(decoder.read(|_| {}).unwrap().pods, PODS);
        for path in unfinished(folder.path()) {
            cut_off += 1;
            fs::remove_file(path).unwrap();
        }
    }
    assert!(cut_off > 0, "none of {KILLS} kills came while it wrote");
}
