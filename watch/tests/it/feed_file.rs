//! The file feed: file formats, and the detection of changes.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::Running;
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::api_server::{namespace, pod};
use poddns_test_support::wait::until_async as until;
use poddns_watch::{Feed, FeedError, Scope, Source};
use serde_json::{Value, json};
use tempfile::TempDir;

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn has(running: &Running, namespace: &str, address: &str) -> bool {
    running.index.contains(&label(namespace), address.parse::<IpAddr>().expect("an address")).unwrap()
}

/// Returns a list in the format of kubectl: keys are sorted, so `kind` follows `items`.
fn list(items: &[Value]) -> String {
    let list =
        json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}});
    serde_json::to_string_pretty(&list).expect("JSON")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn run(path: &Path) -> Running {
    Running::start(Source::File(path.to_owned()), Scope::default()).await
}

async fn refused(path: PathBuf) -> FeedError {
    Feed::open(Source::File(path), Scope::default()).await.expect_err("it is refused")
}

/// Replaces a file atomically, by renaming a new one.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).expect("written");
    fs::rename(&fresh, path).expect("renamed");
}

#[tokio::test]
async fn reads_json_and_yaml_alike() {
    let folder = folder();
    let mut ended = pod("ended-only", "job", &["10.0.0.9"]);
    ended["status"]["phase"] = json!("Succeeded");
    let items = [
        pod("default", "web", &["10.0.0.1", "fd00::1"]),
        ended,
        namespace("empty"),
        json!({"kind": "Service", "metadata": {"name": "s", "namespace": "default"}}),
    ];
    let json = folder.path().join("pods.json");
    fs::write(&json, list(&items)).expect("written");
    let yaml = folder.path().join("pods.yaml");
    let text = "\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: web, namespace: default, uid: default/web, resourceVersion: \"5\"}
  spec:
    containers:
    - name: c
      args: [\"--x\", \"|\"]
      command:
      - sh
      - -c
      - |
        echo one
        echo two
  status:
    phase: Running
    podIP: 10.0.0.1
    podIPs:
    - ip: 10.0.0.1
    - ip: fd00::1
- {kind: Pod, metadata: {name: job, namespace: ended-only}, status: {phase: Succeeded, podIP: 10.0.0.9}}
- {kind: Namespace, metadata: {name: empty}}
- {kind: Service, metadata: {name: s, namespace: default}}
kind: List
metadata:
  resourceVersion: \"\"
";
    fs::write(&yaml, text).expect("written");
    for path in [&json, &yaml] {
        let running = run(path).await;
        assert_eq!(running.index.freshness(), Freshness::Fresh, "it is in the index once it is opened");
        assert_eq!(running.index.stats().pods, 1);
        assert!(has(&running, "default", "10.0.0.1") && has(&running, "default", "fd00::1"));
        assert!(!has(&running, "ended-only", "10.0.0.9"));
        for name in ["default", "ended-only", "empty"] {
            assert!(running.index.namespace_exists(&label(name)).unwrap(), "{name} in {}", path.display());
        }
        assert_eq!(running.stats.pods.malformed(), 1, "the Service is noticed");
    }
}

#[tokio::test]
async fn only_some_namespaces() {
    let folder = folder();
    let path = folder.path().join("pods.json");
    let items = [pod("a", "x", &["10.0.0.1"]), pod("b", "x", &["10.0.0.2"]), namespace("c"), namespace("d")];
    fs::write(&path, list(&items)).expect("written");
    let scope = Scope { namespaces: vec![label("a"), label("c")], ..Scope::default() };
    let running = Running::start(Source::File(path), scope).await;
    assert!(has(&running, "a", "10.0.0.1") && !has(&running, "b", "10.0.0.2"));
    let exists = |name: &str| running.index.namespace_exists(&label(name)).unwrap();
    assert_eq!([exists("a"), exists("b"), exists("c"), exists("d")], [true, false, true, false]);
}

#[tokio::test]
async fn unusable_file_is_refused_at_open() {
    let folder = folder();
    let path = folder.path().join("pods.json");
    let error = refused(path.clone()).await;
    assert!(error.to_string().contains("pods.json: No such file"), "{error}");
    assert!(error.is_configuration());
    for (text, expected) in [
        ("", "the file is empty"),
        ("{\"kind\": \"List\",\n\"items\": [{]}", "line 2 column 12"),
        ("{\"kind\": \"ConfigMapList\", \"items\": []}", "kind is \"ConfigMapList\""),
        ("kind: List\nitems:\n- kind: Pod\n  metadata: {name: [\n", "line "),
        ("\u{0}\u{1}\u{2}", "pods.json: "),
    ] {
        fs::write(&path, text).expect("written");
        let error = refused(path.clone()).await;
        assert!(error.to_string().contains(expected), "{text:?}: {error}");
    }
    assert!(refused(folder.path().to_owned()).await.to_string().contains("it is a directory"));
    assert!(refused("/dev/null".into()).await.to_string().contains("character device, not a file"));
    assert!(refused(fifo(folder.path())).await.to_string().contains("it is a pipe"));
}

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    let status = Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
    assert!(status.success());
    path
}

/// YAML scalars are read according to the type of the field; values of unused fields are ignored.
#[tokio::test]
async fn yaml_scalars_are_read_as_text() {
    let folder = folder();
    let path = folder.path().join("pods.yaml");
    let mut text = "kind: PodList\nitems:\n".to_owned();
    let odd = ["1e999", "0x1f", "on", "2026-11-27", "42", "0o17", "1-2-3", "nan", "yes", "42e7891", "007"];
    for (number, odd) in odd.iter().enumerate() {
        write!(text, "- metadata: {{name: {odd}, namespace: {odd}, uid: {odd}, labels: {{commit: 42e7891, x: .inf}}}}\n  \
             spec: {{hostNetwork: off}}\n  status: {{phase: Running, podIP: 10.0.0.{number}}}\n").unwrap();
    }
    for (number, uid) in [".inf", "~", "null", ""].iter().enumerate() {
        write!(text, "- metadata: {{name: n{number}, namespace: default, uid: {uid}}}\n  status: {{podIP: 10.0.1.{number}}}\n").unwrap();
    }
    fs::write(&path, text).expect("written");
    let scope = Scope { pod_names: true, ..Scope::default() };
    let running = Running::start(Source::File(path), scope).await;
    assert_eq!(running.stats.pods.malformed(), 0);
    assert_eq!(running.index.stats().pods, odd.len() + 4);
    for (number, odd) in odd.iter().enumerate() {
        let mut found = Vec::new();
        running.index.addresses_of(&label(odd), &label(odd), &mut |address| found.push(address)).unwrap();
        assert_eq!(found, [format!("10.0.0.{number}").parse::<IpAddr>().expect("an address")], "{odd}");
    }
    for number in 0..4 {
        assert!(has(&running, "default", &format!("10.0.1.{number}")));
    }
}

#[tokio::test]
async fn malformed_pod_costs_no_other() {
    let folder = folder();
    let good = |number: u8| list(&[pod("a", &format!("x{number}"), &[&format!("10.0.0.{number}")])]);
    let twice = good(1).replace("\"name\": \"x1\"", "\"name\": \"x1\", \"name\": \"x2\"");
    let number = good(2).replace("\"name\": \"x2\"", "\"name\": 1e999");
    let path = folder.path().join("pods.json");
    fs::write(&path, [good(3), twice, number, good(4)].concat()).expect("written");
    let running = run(&path).await;
    assert!(has(&running, "a", "10.0.0.3") && has(&running, "a", "10.0.0.4"));
    assert_eq!((running.index.stats().pods, running.stats.pods.malformed()), (2, 2));
}

/// Items of a `List` need a kind; items of a `PodList` do not.
#[tokio::test]
async fn kindless_items_are_pods_only_in_podlist() {
    let folder = folder();
    let path = folder.path().join("pods.yaml");
    let item =
        |n: u8| format!("- metadata: {{name: p{n}, namespace: n{n}}}\n  status: {{podIP: 10.0.0.{n}}}\n");
    let kindless = item(1);
    let kind = item(2).replace("- metadata", "- kind: Pod\n  metadata");
    let text = format!("kind: List\nitems:\n{kindless}{kind}---\nkind: PodList\nitems:\n{}", item(3));
    fs::write(&path, text).expect("written");
    let running = run(&path).await;
    let found = [1, 2, 3].map(|n| has(&running, &format!("n{n}"), &format!("10.0.0.{n}")));
    assert_eq!(found, [false, true, true]);
    assert_eq!(
        [1, 2, 3].map(|n| running.index.namespace_exists(&label(&format!("n{n}"))).unwrap()),
        [false, true, true]
    );
    assert_eq!(running.stats.pods.malformed(), 1);
}

#[tokio::test]
async fn pipe_is_read_once_at_the_start() {
    let folder = folder();
    let path = fifo(folder.path());
    let text = list(&[pod("a", "x", &["10.0.0.1"])]) + &" ".repeat(1 << 20);
    let to = path.clone();
    let writer = std::thread::spawn(move || fs::write(to, text));
    let running = Running::start(Source::FileOrPipe(path), Scope::default()).await;
    writer.join().expect("it ends").expect("written");
    assert!(has(&running, "a", "10.0.0.1"));
    assert_eq!(running.index.freshness(), Freshness::Fresh);
}

/// Neither a cancelled opening nor the end of the runtime waits for a writer.
#[tokio::test]
async fn wait_for_pipe_can_be_cancelled() {
    let folder = folder();
    let open = Feed::open(Source::FileOrPipe(fifo(folder.path())), Scope::default());
    let waited = tokio::time::timeout(Duration::from_millis(50), open).await;
    assert!(waited.is_err(), "nobody has written");
}

#[tokio::test]
async fn pipe_replacing_file_is_refused() {
    let folder = folder();
    let path = folder.path().join("pods.json");
    fs::write(&path, list(&[pod("a", "x", &["10.0.0.1"])])).expect("written");
    let running = run(&path).await;
    let error = || running.index.health().watches().first().and_then(|watch| watch.error.clone());
    fs::rename(fifo(folder.path()), &path).expect("renamed");
    until("reported", || error().is_some_and(|error| error.contains("it is a pipe"))).await;
    assert!(has(&running, "a", "10.0.0.1"), "kept");
    replace(&path, &list(&[pod("a", "x", &["10.0.0.2"])]));
    until("mended", || error().is_none() && has(&running, "a", "10.0.0.2")).await;
}

#[tokio::test]
async fn a_replaced_file_is_read_again() {
    let folder = folder();
    let path = folder.path().join("pods.json");
    fs::write(&path, list(&[pod("a", "x", &["10.0.0.1"]), pod("b", "y", &["10.0.0.2"])])).expect("written");
    let running = run(&path).await;
    replace(&path, &list(&[pod("a", "x", &["10.0.0.3"])]));
    until("the new version", || has(&running, "a", "10.0.0.3")).await;
    until("what it does not name is gone", || !has(&running, "b", "10.0.0.2")).await;
    assert!(!has(&running, "a", "10.0.0.1"));
    assert!(!running.index.namespace_exists(&label("b")).unwrap());
    fs::write(&path, list(&[pod("a", "x", &["10.0.0.4"])])).expect("written");
    until("written in place", || has(&running, "a", "10.0.0.4")).await;
}

/// A `ConfigMap` volume: `pods.json` -> `..data/pods.json`, `..data` -> the folder of the current version.
#[tokio::test]
async fn a_config_map_is_read_again() {
    let folder = folder();
    let version = |name: &str, items: &[Value]| {
        let data = folder.path().join(name);
        fs::create_dir(&data).expect("created");
        fs::write(data.join("pods.json"), list(items)).expect("written");
    };
    version("..1", &[pod("a", "x", &["10.0.0.1"])]);
    symlink("..1", folder.path().join("..data")).expect("linked");
    let path = folder.path().join("pods.json");
    symlink("..data/pods.json", &path).expect("linked");
    let running = run(&path).await;
    assert!(has(&running, "a", "10.0.0.1"));
    version("..2", &[pod("a", "x", &["10.0.0.2"])]);
    symlink("..2", folder.path().join("..data_tmp")).expect("linked");
    fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).expect("renamed");
    fs::remove_dir_all(folder.path().join("..1")).expect("removed");
    until("the new version", || has(&running, "a", "10.0.0.2")).await;
}

#[tokio::test]
async fn broken_version_is_reported_and_old_kept() {
    let folder = folder();
    let path = folder.path().join("pods.json");
    let items = [pod("a", "x", &["10.0.0.1"]), pod("a", "y", &["10.0.0.2"])];
    fs::write(&path, list(&items)).expect("written");
    let running = run(&path).await;
    let error = || running.index.health().watches().first().and_then(|watch| watch.error.clone());
    assert_eq!(error(), None);

    // Complete items before the error must not be applied either.
    let broken = list(&[pod("a", "x", &["10.0.0.9"])]).replace("\"kind\": \"List\"", "\"kind\": ");
    replace(&path, &broken);
    until("reported", || error().is_some()).await;
    let text = error().expect("reported");
    assert!(text.contains("pods.json: line "), "{text}");
    assert!(text.contains("keeping the previous contents"), "{text}");
    assert!(matches!(running.index.freshness(), Freshness::Stale { .. }));
    assert!(has(&running, "a", "10.0.0.1") && has(&running, "a", "10.0.0.2"));
    assert!(!has(&running, "a", "10.0.0.9"));

    replace(&path, &list(&[pod("a", "x", &["10.0.0.3"])]));
    until("mended", || error().is_none()).await;
    assert_eq!(running.index.freshness(), Freshness::Fresh);
    assert!(has(&running, "a", "10.0.0.3") && !has(&running, "a", "10.0.0.2"));

    fs::remove_file(&path).expect("removed");
    until("reported", || error().is_some_and(|text| text.contains("No such file"))).await;
    assert!(has(&running, "a", "10.0.0.3"), "kept");
    fs::write(&path, list(&[pod("a", "x", &["10.0.0.4"])])).expect("written");
    // The health is updated after the index has the whole file.
    until("it is back", || error().is_none()).await;
    assert!(has(&running, "a", "10.0.0.4"));
}

/// The clock is paused and advances in sleeps only, so the file is checked every 500 ms exactly.
#[tokio::test(start_paused = true)]
async fn file_being_written_is_not_read() {
    let folder = folder();
    let path = folder.path().join("pods.yaml");
    let item = |n: u8| {
        format!("- kind: Pod\n  metadata: {{name: p{n}, namespace: a}}\n  status: {{podIP: 10.0.0.{n}}}\n")
    };
    let head = "kind: List\nitems:\n";
    fs::write(&path, format!("{head}{}{}", item(1), item(2))).expect("written");
    let running = run(&path).await;
    // Each of these texts is a valid list, but only the last one is complete.
    let mut text = head.to_owned();
    for n in 2..7 {
        text.push_str(&item(n));
        fs::write(&path, &text).expect("written");
        tokio::time::sleep(Duration::from_millis(450)).await;
        assert!(has(&running, "a", "10.0.0.1"), "the old version is kept while {n} is written");
    }
    until("the new version", || !has(&running, "a", "10.0.0.1")).await;
    assert_eq!(running.index.stats().pods, 5);
}

#[tokio::test(start_paused = true)]
async fn constantly_changing_file_is_read_eventually() {
    let folder = folder();
    let path = folder.path().join("pods.json");
    fs::write(&path, list(&[pod("a", "x", &["10.0.0.1"])])).expect("written");
    let running = run(&path).await;
    for n in 0..40 {
        replace(&path, &(list(&[pod("a", "x", &["10.0.0.2"])]) + &" ".repeat(n)));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert!(has(&running, "a", "10.0.0.2"));
}
