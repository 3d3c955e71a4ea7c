//! What reading from a source opens: for a process that lets itself open little.

use std::env;
use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Kubeconfig};

use super::{ClusterOptions, Source};

/// The service account of a pod, as every client finds it. The kubelet exchanges token and certificate by
/// renaming a symbolic link in this directory.
const SERVICE_ACCOUNT: [&str; 2] = [
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
];

/// What a feed opens and runs, when it is opened and whenever it reads its configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reads {
    /// Files, which may be replaced by others of the same name.
    pub files: Vec<PathBuf>,
    /// Whether it talks to a server, which takes the resolver's files and the system's certificates.
    pub network: bool,
    /// The program that gives the credentials, if a kubeconfig says so.
    pub program: Option<String>,
}

impl Source {
    /// What a feed of this source opens. A kubeconfig is read for it; one that cannot be read names no other
    /// files, and [`Feed::open`](super::Feed::open) tells what is wrong with it.
    #[must_use]
    pub fn reads(&self) -> Reads {
        match self {
            Self::File(path) => Reads { files: vec![path.clone()], ..Reads::default() },
            Self::Cluster(options) => cluster(options, |name| env::var_os(name)),
        }
    }
}

fn cluster(options: &ClusterOptions, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Reads {
    let mut reads = Reads { network: true, ..Reads::default() };
    let kubeconfigs = match &options.kubeconfig {
        Some(path) => vec![path.clone()],
        None if variable("KUBERNETES_SERVICE_HOST").is_some() && options.context.is_none() => {
            reads.files.extend(SERVICE_ACCOUNT.map(PathBuf::from));
            return reads;
        }
        None => match variable("KUBECONFIG").filter(|paths| !paths.is_empty()) {
            Some(paths) => env::split_paths(&paths).collect(),
            None => {
                variable("HOME").map(|home| PathBuf::from(home).join(".kube/config")).into_iter().collect()
            }
        },
    };
    let merged = kubeconfigs.iter().filter_map(|path| Kubeconfig::read_from(path).ok());
    let merged = merged.reduce(|all, next| all.clone().merge(next).unwrap_or(all)).unwrap_or_default();
    reads.files.extend(kubeconfigs);
    for named in &merged.clusters {
        let authority = named.cluster.as_ref().and_then(|cluster| cluster.certificate_authority.as_ref());
        reads.files.extend(authority.map(PathBuf::from));
    }
    for named in &merged.auth_infos {
        reads.files.extend(named.auth_info.iter().flat_map(files));
    }
    reads.program = user(&merged, options.context.as_deref()).and_then(program);
    reads
}

fn files(user: &AuthInfo) -> impl Iterator<Item = PathBuf> {
    let named = [&user.token_file, &user.client_certificate, &user.client_key];
    named.into_iter().flatten().map(|file| Path::new(file).to_owned())
}

/// Who we are in the context: the credentials that are used.
fn user<'a>(kubeconfig: &'a Kubeconfig, context: Option<&str>) -> Option<&'a AuthInfo> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let name = context.user.as_deref()?;
    kubeconfig.auth_infos.iter().find(|named| named.name == name)?.auth_info.as_ref()
}

fn program(user: &AuthInfo) -> Option<String> {
    let plugin = user.exec.as_ref().and_then(|exec| exec.command.clone());
    plugin.or_else(|| user.auth_provider.as_ref()?.config.get("cmd-path").cloned())
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
contexts:
- name: plain
  context: { cluster: c, user: files }
- name: cloud
  context: { cluster: c, user: plugin }
";

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn a_kubeconfig_names_other_files_and_perhaps_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, KUBECONFIG).unwrap();
        let options = |context: Option<&str>| ClusterOptions {
            kubeconfig: Some(path.clone()),
            context: context.map(str::to_owned),
            ..ClusterOptions::default()
        };
        let reads = cluster(&options(None), nothing);
        let expected = [
            path.clone(),
            folder.path().join("pki/ca.crt"),
            "/pki/tls.crt".into(),
            "/pki/tls.key".into(),
            folder.path().join("token"),
        ];
        assert_eq!(reads, Reads { files: expected.into(), network: true, program: None });
        let reads = cluster(&options(Some("cloud")), nothing);
        assert_eq!(reads.program.as_deref(), Some("aws"));
        assert_eq!(cluster(&options(Some("nowhere")), nothing).program, None);
    }

    #[test]
    fn without_a_kubeconfig_the_usual_places_are_read() {
        let options = ClusterOptions::default();
        let pod = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "192.0.2.1".into());
        assert_eq!(cluster(&options, pod).files, SERVICE_ACCOUNT.map(PathBuf::from));
        let home = |name: &str| (name == "HOME").then(|| "/nonexistent".into());
        assert_eq!(cluster(&options, home).files, [PathBuf::from("/nonexistent/.kube/config")]);
        let listed = |name: &str| (name == "KUBECONFIG").then(|| "/nonexistent/a:/nonexistent/b".into());
        let files = cluster(&options, listed).files;
        assert_eq!(files, [PathBuf::from("/nonexistent/a"), PathBuf::from("/nonexistent/b")]);
        assert_eq!(cluster(&options, nothing), Reads { network: true, ..Reads::default() });
    }

    #[test]
    fn a_file_of_pods_is_all_there_is() {
        let reads = Source::File("pods.json".into()).reads();
        assert_eq!(reads, Reads { files: vec!["pods.json".into()], ..Reads::default() });
    }
}
