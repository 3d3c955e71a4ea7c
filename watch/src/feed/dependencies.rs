//! Files and programs that a source needs, for a process that restricts its own access.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::options::{ClusterOptions, Source};
use crate::kubeconfig::ConfigSource;

/// Files and programs that a feed uses when it is opened and whenever it reads its configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceDependencies {
    /// Files, which may be replaced by others of the same name.
    pub files: Vec<PathBuf>,
    /// True if it connects to a server, which requires the resolver's files and the system's certificates.
    pub network: bool,
    /// The credential plugin, if the kubeconfig names one.
    pub program: Option<String>,
}

impl Source {
    /// Returns the dependencies of a feed of this source. Reads the kubeconfig for that, and includes only the files
    /// that the chosen context refers to. An unreadable kubeconfig contributes none; [`Feed::open`](super::Feed::open)
    /// reports the error.
    #[must_use]
    pub fn reads(&self) -> SourceDependencies {
        match self {
            Self::File(path) | Self::FileOrPipe(path) => {
                SourceDependencies { files: vec![path.clone()], ..SourceDependencies::default() }
            }
            Self::Cluster(options) => cluster(options, |name| env::var_os(name)),
        }
    }
}

fn cluster(options: &ClusterOptions, variable: impl Fn(&str) -> Option<OsString>) -> SourceDependencies {
    let (files, program) = ConfigSource::of(options, variable).reads(options.context.as_deref());
    SourceDependencies { files, network: true, program }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;

    use super::*;

    const KUBECONFIG: &str = r"
apiVersion: v1
kind: Config
current-context: plain
clusters:
- name: c
  cluster: { server: https://192.0.2.1, certificate-authority: pki/ca.crt }
users:
- name: files
  user: { client-certificate: /pki/tls.crt, client-key: /pki/tls.key }
- name: token
  user: { tokenFile: token }
- name: plugin
  user:
    exec: { apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never }
- name: relative
  user:
    exec: { apiVersion: client.authentication.k8s.io/v1, command: bin/plugin }
contexts:
- name: token
  context: { cluster: c, user: token }
- name: relative
  context: { cluster: c, user: relative }
- name: plain
  context: { cluster: c, user: files }
- name: cloud
  context: { cluster: c, user: plugin }
";

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn only_what_the_context_names_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, KUBECONFIG).unwrap();
        let read = |context: Option<&str>| {
            let options = ClusterOptions {
                kubeconfig: Some(path.clone()),
                context: context.map(str::to_owned),
                ..ClusterOptions::default()
            };
            cluster(&options, nothing)
        };
        let ca = folder.path().join("pki/ca.crt");
        let files = vec![path.clone(), ca.clone(), "/pki/tls.crt".into(), "/pki/tls.key".into()];
        assert_eq!(read(None), SourceDependencies { files, network: true, program: None });
        let files = vec![path.clone(), ca.clone(), folder.path().join("token")];
        assert_eq!(read(Some("token")), SourceDependencies { files, network: true, program: None });
        let files = vec![path.clone(), ca];
        assert_eq!(
            read(Some("cloud")),
            SourceDependencies { files, network: true, program: Some("aws".to_owned()) }
        );
        let relative = folder.path().join("bin/plugin").display().to_string();
        assert_eq!(read(Some("relative")).program, Some(relative));
        assert_eq!(read(Some("nowhere")).files, std::slice::from_ref(&path));
    }

    #[test]
    fn default_places_are_read_without_kubeconfig() {
        let options = ClusterOptions::default();
        let pod = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "192.0.2.1".into());
        let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
        assert_eq!(cluster(&options, pod).files, [account.join("ca.crt"), account.join("token")]);
        let home = |name: &str| (name == "HOME").then(|| "/nonexistent".into());
        assert_eq!(cluster(&options, home).files, [PathBuf::from("/nonexistent/.kube/config")]);
        let listed = |name: &str| (name == "KUBECONFIG").then(|| "/nonexistent/a:/nonexistent/b".into());
        let files = cluster(&options, listed).files;
        assert_eq!(files, [PathBuf::from("/nonexistent/a"), PathBuf::from("/nonexistent/b")]);
        assert_eq!(
            cluster(&options, nothing),
            SourceDependencies { network: true, ..SourceDependencies::default() }
        );
    }

    #[test]
    fn pods_file_is_the_only_read() {
        let reads = Source::File("pods.json".into()).reads();
        assert_eq!(
            reads,
            SourceDependencies { files: vec!["pods.json".into()], ..SourceDependencies::default() }
        );
    }
}
