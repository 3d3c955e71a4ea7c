//! Random histories of a cluster and its API server: in the end the index equals the cluster, and objects that exist
//! all the time are found all the time.

use std::time::Duration;

use crate::support::truth::Truth;
use crate::support::{Running, turns};
use poddns_core::{Freshness, Label, PodLookup};
use poddns_test_support::api_server::{
    ApiServer, BodyEnd, PreparedResponse, RequestVerb, Streaming, namespace, pod,
};
use poddns_test_support::wait::{PATIENCE, pass, until_async as until};
use poddns_watch::{Index, Scope};
use serde_json::{Value, json};

const NAMESPACES: [&str; 4] = ["a", "b", "c", "d"];
const STEPS: usize = 120;

struct History {
    server: ApiServer,
    truth: Truth,
    random: fastrand::Rng,
    pods: Vec<Value>,
    named: Vec<&'static str>,
    born: u32,
}

impl History {
    fn begin(seed: u64) -> Self {
        let server = ApiServer::start();
        let (pods, named) = (Vec::new(), Vec::new());
        let mut history = Self {
            server,
            truth: Truth::default(),
            random: fastrand::Rng::with_seed(seed),
            pods,
            named,
            born: 0,
        };
        history.put(&namespace("anchor"));
        history.put(&pod("anchor", "rock", &["10.255.0.1"]));
        history
    }

    fn put(&mut self, object: &Value) {
        self.server.put(object.clone());
        self.truth.put(object);
    }

    fn address(&mut self) -> String {
        // So few that pods share and reuse them.
        format!("10.0.0.{}", self.random.u8(0..24))
    }

    fn create(&mut self) {
        self.born += 1;
        let of = NAMESPACES[self.random.usize(0..4)];
        let taken = |name: &str| self.pods.iter().any(|pod| pod["metadata"]["name"] == name);
        // Names are reused, with another uid.
        let name = format!("pod-{}", self.random.u8(0..30));
        if taken(&name) {
            return;
        }
        let addresses = [self.address(), self.address()];
        let mut pod = pod(of, &name, &addresses.each_ref().map(String::as_str));
        pod["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012x}", self.born));
        self.put(&pod);
        self.pods.push(pod);
    }

    fn any_pod(&mut self) -> Option<usize> {
        (!self.pods.is_empty()).then(|| self.random.usize(0..self.pods.len()))
    }

    fn change(&mut self) {
        let Some(at) = self.any_pod() else { return };
        let mut pod = self.pods[at].clone();
        match self.random.u8(0..4) {
            0 => pod["status"]["phase"] = json!("Succeeded"),
            1 => pod["status"]["phase"] = json!("Running"),
            2 => pod["metadata"]["deletionTimestamp"] = json!("2026-11-22T14:34:34Z"),
            _ => {
                let address = self.address();
                pod["status"]["podIP"] = json!(address);
                pod["status"]["podIPs"] = json!([{"ip": address}]);
            }
        }
        self.put(&pod);
        self.pods[at] = pod;
    }

    fn delete(&mut self) {
        let Some(at) = self.any_pod() else { return };
        let pod = self.pods.swap_remove(at);
        let field = |name: &str| pod["metadata"][name].as_str().expect("text");
        self.server.delete("pods", field("namespace"), field("name"));
        self.truth.delete(&pod);
    }

    fn toggle_namespace(&mut self) {
        let name = NAMESPACES[self.random.usize(0..4)];
        match self.named.iter().position(|named| *named == name) {
            None => {
                self.put(&namespace(name));
                self.named.push(name);
            }
            // A namespace is deleted only when it has no pods.
            Some(at) if !self.pods.iter().any(|pod| pod["metadata"]["namespace"] == name) => {
                self.named.swap_remove(at);
                self.server.delete("namespaces", "", name);
                self.truth.delete(&namespace(name));
            }
            Some(_) => {}
        }
    }

    fn trouble(&mut self) {
        let resource = if self.random.bool() { "pods" } else { "namespaces" };
        let verb = [RequestVerb::List, RequestVerb::Stream, RequestVerb::Watch][self.random.usize(0..3)];
        match self.random.u8(0..9) {
            0 => self.server.break_watches(resource),
            1 => self.server.end_watches(resource),
            2 => self.server.bookmark(resource),
            3 => self.server.garble(),
            4 => {
                self.server.end_watches(resource);
                self.server.compact();
            }
            5 => self.server.stream(if self.random.bool() { Streaming::Yes } else { Streaming::Refused }),
            6 => {
                let status = [401, 403, 410, 429, 500, 503, 504][self.random.usize(0..7)];
                self.server.next(resource, verb, PreparedResponse::status(status, "no"));
            }
            7 => {
                let then = [BodyEnd::End, BodyEnd::Break][self.random.usize(0..2)];
                self.server.next(resource, verb, PreparedResponse::Part { body: "{\"type".into(), then });
            }
            _ => self.server.next(resource, verb, PreparedResponse::ok("<html>")),
        }
    }

    fn step(&mut self) {
        match self.random.u8(0..10) {
            0..=2 => self.create(),
            3..=5 => self.change(),
            6 => self.delete(),
            7 => self.toggle_namespace(),
            _ => self.trouble(),
        }
    }
}

fn assert_anchored(index: &Index, seed: u64) {
    let anchor: Label = "anchor".parse().expect("a label");
    let rock = "10.255.0.1".parse().expect("an address");
    assert!(index.contains(&anchor, rock).unwrap(), "seed {seed}: what exists disappeared");
    assert!(index.namespace_exists(&anchor).unwrap(), "seed {seed}: what exists disappeared");
}

async fn live_through(seed: u64) {
    let mut history = History::begin(seed);
    let running = Running::follow(&history.server, Scope { pod_names: true, ..Scope::default() }).await;
    until("fresh", || running.index.freshness() == Freshness::Fresh).await;
    for _ in 0..STEPS {
        history.step();
        if history.random.u8(0..3) == 0 {
            // Some backoffs expire, others do not.
            let time = Duration::from_millis(history.random.u64(0..700));
            pass(time).await;
            tokio::task::yield_now().await;
        }
        assert_anchored(&running.index, seed);
    }
    for resource in NAMESPACES {
        if !history.named.contains(&resource) {
            history.ensure(resource);
        }
    }
    let deadline = std::time::Instant::now() + PATIENCE;
    while let Some(difference) = history.truth.difference(&running.index) {
        assert!(std::time::Instant::now() < deadline, "seed {seed}: {difference}");
        assert_anchored(&running.index, seed);
        pass(Duration::from_millis(200)).await;
        turns().await;
    }
}

impl History {
    /// Creates a namespace. In the end all namespaces exist, because in the index, unlike in [`Truth`], a pod implies
    /// its namespace.
    fn ensure(&mut self, name: &'static str) {
        self.put(&namespace(name));
        self.named.push(name);
    }
}

async fn index_equals_cluster_in_the_end() {
    for seed in 0..24 {
        live_through(seed).await;
    }
}

poddns_test_support::in_both_encodings!(index_equals_cluster_in_the_end,);
