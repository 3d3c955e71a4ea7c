//! Changes to the cluster that the kubelet and the controllers make, which do not run here.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use hyper::{Method, Request};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use poddns_test_support::kube_apiserver::KubeApiserver;

/// A client of the API server with administrator's credentials.
pub struct Api {
    client: Client,
    runtime: Runtime,
}

/// Namespace and name of a pod.
#[derive(Clone, Copy, Debug)]
pub struct PodPath<'a>(pub &'a str, pub &'a str);

impl PodPath<'_> {
    fn path(self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.0, self.1)
    }
}

/// A request that changes the cluster.
#[derive(Clone, Debug)]
pub struct Write {
    method: Method,
    path: String,
    body: Value,
}

impl Write {
    /// Returns the creation of a pod that is bound to a node without a kubelet; `spec` has further fields.
    pub fn create(pod: PodPath<'_>, spec: &Value) -> Self {
        let PodPath(namespace, name) = pod;
        let mut body = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": "example.com/main" }] },
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            body["spec"][key] = value.clone();
        }
        Self { method: Method::POST, path: format!("/api/v1/namespaces/{namespace}/pods"), body }
    }

    /// Adds an annotation of this many bytes to the object.
    pub fn annotated(mut self, octets: usize) -> Self {
        self.body["metadata"]["annotations"] = json!({ "example.com/ballast": "x".repeat(octets) });
        self
    }

    /// Returns an update of a pod's status as a kubelet would write it.
    pub fn status(pod: PodPath<'_>, phase: &str, addresses: &[IpAddr]) -> Self {
        let all: Vec<Value> = addresses.iter().map(|address| json!({ "ip": address })).collect();
        let status = json!({ "phase": phase, "podIP": addresses.first(), "podIPs": all });
        Self {
            method: Method::PATCH,
            path: format!("{}/status", pod.path()),
            body: json!({ "status": status }),
        }
    }

    /// Returns a deletion with this grace period in seconds; 0 deletes at once.
    pub fn delete(pod: PodPath<'_>, grace: u32) -> Self {
        Self { method: Method::DELETE, path: pod.path(), body: json!({ "gracePeriodSeconds": grace }) }
    }

    async fn send(self, client: Client) -> Value {
        let kind = match self.method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder().method(&self.method).uri(&self.path).header("content-type", kind);
        let request = request.body(self.body.to_string().into_bytes()).expect("a sound request");
        let answer = client.request(request).await;
        answer.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }
}

impl Api {
    /// Returns a client with connections of its own, since a restart of the server breaks open connections.
    pub fn of(server: &KubeApiserver) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(server.admin()).unwrap();
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            Client::try_from(config.unwrap()).unwrap()
        });
        Self { client, runtime }
    }

    /// Makes one change, and returns the response.
    pub fn write(&self, write: Write) -> Value {
        self.runtime.block_on(write.send(self.client.clone()))
    }

    /// Makes the changes of each sequence in order, and of several sequences concurrently.
    pub fn write_all(&self, sequences: Vec<Vec<Write>>) {
        const AT_A_TIME: usize = 16;
        self.runtime.block_on(async {
            let mut shares: Vec<Vec<Vec<Write>>> = vec![Vec::new(); AT_A_TIME];
            for (number, sequence) in sequences.into_iter().enumerate() {
                shares[number % AT_A_TIME].push(sequence);
            }
            let mut tasks = tokio::task::JoinSet::new();
            for share in shares {
                let client = self.client.clone();
                tasks.spawn(async move {
                    for write in share.into_iter().flatten() {
                        write.send(client.clone()).await;
                    }
                });
            }
            tasks.join_all().await;
        });
    }

    /// Creates a running pod with these addresses.
    pub fn run_pod(&self, pod: PodPath<'_>, addresses: &[IpAddr]) {
        self.write(Write::create(pod, &json!({})));
        self.write(Write::status(pod, "Running", addresses));
    }

    pub fn create_namespace(&self, name: &str) {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.write(Write { method: Method::POST, path: "/api/v1/namespaces".to_owned(), body });
    }

    /// Deletes an empty namespace, and finalizes it as the namespace controller would.
    pub fn delete_namespace(&self, name: &str) {
        let path = format!("/api/v1/namespaces/{name}");
        let mut body = self.write(Write { method: Method::DELETE, path: path.clone(), body: json!({}) });
        body["spec"]["finalizers"] = json!([]);
        self.write(Write { method: Method::PUT, path: format!("{path}/finalize"), body });
    }
}

/// Returns an address that no other call returns.
pub fn address() -> IpAddr {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let [high, low] = (LAST.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes();
    IpAddr::from([10, 42, high, low])
}
