//! A real API server with its etcd, run by `.ci/kube-apiserver`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/kube-apiserver");

/// Starts the server, prints `started`, and stops the server when standard input ends.
const WATCHDOG: &str = r#"
script=$1 dir=$2
shift 2
"$script" start "$dir" "$@" && echo started && cat >/dev/null
"$script" stop "$dir"
rm -rf "$dir"
"#;

/// A running API server, stopped when dropped.
///
/// It is also stopped when this process ends for any reason, because its watchdog reads the end of its standard input.
/// So it may be stored in a static, which is never dropped.
pub struct KubeApiserver {
    dir: PathBuf,
    watchdog: Child,
}

impl KubeApiserver {
    /// Starts a server with these additional flags, and waits until it is ready.
    pub fn start(flags: &[&str]) -> Self {
        let dir =
            tempfile::Builder::new().prefix("poddns-kube-").tempdir().expect("a temporary folder").keep();
        let mut watchdog = Command::new("bash")
            .args(["-c", WATCHDOG, "watchdog", SCRIPT])
            .arg(&dir)
            // Before v1.21, pods have two addresses only with this feature gate.
            .arg("--feature-gates=IPv6DualStack=true")
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Keeps Ctrl-C from ending the watchdog.
            .process_group(0)
            .spawn()
            .expect("bash");
        let mut line = String::new();
        BufReader::new(watchdog.stdout.take().expect("piped")).read_line(&mut line).expect("UTF-8");
        assert_eq!(line, "started\n", "the API server does not start: has it been built?");
        Self { dir, watchdog }
    }

    /// Kills the API server, but not etcd.
    pub fn kill(&self) {
        self.script("kill");
    }

    /// Starts the API server again.
    pub fn restart(&self) {
        self.script("restart");
    }

    /// Compacts the history in etcd.
    pub fn compact(&self) {
        self.script("compact");
    }

    fn script(&self, command: &str) {
        let done = Command::new(SCRIPT).arg(command).arg(&self.dir).output().expect("the script");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Returns the URL on which it listens.
    pub fn url(&self) -> String {
        std::fs::read_to_string(self.dir.join("url")).expect("a started server").trim().to_owned()
    }

    /// Returns the path of the administrator's kubeconfig.
    pub fn admin(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Returns the output of kubectl, run as the administrator with this input.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let mut kubectl = Command::new(SCRIPT)
            .arg("kubectl")
            .arg(&self.dir)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script");
        // kubectl reads its whole input before it prints, so this cannot deadlock.
        kubectl.stdin.take().expect("piped").write_all(input.as_bytes()).expect("kubectl reads");
        let done = kubectl.wait_with_output().expect("kubectl ends");
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "kubectl {arguments:?}: {told}\n{input}");
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    /// Runs `kubectl apply`.
    pub fn apply(&self, yaml: &str) {
        self.kubectl(&["apply", "--filename=-"], yaml);
    }

    /// Creates a service account without permissions in namespace `default`, and returns the path of a kubeconfig with
    /// its token.
    pub fn service_account(&self, name: &str) -> PathBuf {
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
        self.apply(&account.to_string());
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": { "expirationSeconds": 7200 },
        });
        let path = format!("/api/v1/namespaces/default/serviceaccounts/{name}/token");
        let answer = self.kubectl(&["create", "--filename=-", "--raw", &path], &request.to_string());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{ "name": "it", "cluster": {
                "server": self.url(), "certificate-authority": self.dir.join("ca.crt"),
            } }],
            "users": [{ "name": "it", "user": { "token": answer["status"]["token"] } }],
            "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        });
        let path = self.dir.join(format!("kubeconfig-{name}"));
        std::fs::write(&path, kubeconfig.to_string()).expect("a writable folder");
        path
    }

    /// Grants a service account of namespace `default` these verbs on a resource, in one namespace or in the whole
    /// cluster.
    pub fn grant(&self, account: &str, verbs: &[&str], resource: &str, namespace: Option<&str>) {
        let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
        let metadata = json!({ "name": format!("{account}-{resource}"), "namespace": namespace });
        let group = "rbac.authorization.k8s.io";
        let role = json!({
            "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": metadata,
            "rules": [{ "apiGroups": [""], "resources": [resource], "verbs": verbs }],
        });
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": { "apiGroup": group, "kind": kind, "name": metadata["name"] },
            "subjects": [{ "kind": "ServiceAccount", "namespace": "default", "name": account }],
        });
        self.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [role, binding] }).to_string());
    }

    /// Revokes what [`grant`](Self::grant) granted in the whole cluster.
    pub fn revoke(&self, account: &str, resource: &str) {
        self.kubectl(&["delete", "clusterrolebinding", &format!("{account}-{resource}")], "");
    }
}

impl Drop for KubeApiserver {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // Fails only if the process has ended already.
        let _ = self.watchdog.wait();
    }
}
