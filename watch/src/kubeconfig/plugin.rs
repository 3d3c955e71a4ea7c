//! Credential plugins: programs that print an `ExecCredential`.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>

use std::error::Error;
use std::io;
use std::path::MAIN_SEPARATOR;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use k8s_openapi::jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use thiserror::Error as ThisError;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::error::KubeconfigError;
use super::header::bearer;
use super::merge::{KubeconfigEntry, flag_in, text_in, texts};
use super::pem::{ClientCertificate, Pem};
use super::yaml_node::YamlNode;
use crate::quote::QuotedText;

/// Time limit of a plugin.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Maximum number of bytes that a plugin may print.
const MAX_OUTPUT: usize = 1 << 20;

/// Maximum number of bytes from the end of a plugin's standard error that are kept for messages.
const MAX_STDERR: usize = 400;

/// The prefix of the protocol version.
const GROUP: &str = "client.authentication.k8s.io/";

/// The name of the extension of a cluster entry that is passed to plugins.
const EXTENSION: &str = "client.authentication.k8s.io/exec";

/// A program that prints credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Plugin {
    /// Path of the program, or its name for a search in `PATH`.
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// The value of `KUBERNETES_EXEC_INFO`.
    info: String,
    install_hint: Option<String>,
    time_limit: Duration,
}

/// Credentials from a plugin.
#[derive(Clone)]
pub(crate) struct PluginCredentials {
    /// The `Authorization` header.
    pub(crate) header: Option<HeaderValue>,
    /// The client certificate.
    pub(crate) identity: Option<ClientCertificate>,
    /// The end of their validity, if the plugin reports it.
    pub(crate) expires: Option<Timestamp>,
}

/// Reason why a plugin returned no credentials.
#[derive(Debug, ThisError)]
pub enum PluginError {
    /// The plugin could not be started.
    #[error("cannot run credential plugin {command}: {source}{hint}", command = QuotedText(command))]
    Start {
        /// The program.
        command: String,
        /// The system's reason.
        #[source]
        source: io::Error,
        /// The installation hint of the kubeconfig, with punctuation.
        hint: String,
    },
    /// The plugin did not end in time, and was killed.
    #[error(
        "credential plugin {command} did not end within {limit:?} and was killed{stderr}",
        command = QuotedText(command)
    )]
    TimeLimit {
        /// The program.
        command: String,
        /// The limit.
        limit: Duration,
        /// The end of its standard error, with punctuation.
        stderr: String,
    },
    /// The plugin has not ended yet.
    #[error("credential plugin {command} has not ended yet", command = QuotedText(command))]
    Pending {
        /// The program.
        command: String,
    },
    /// The plugin failed.
    #[error("credential plugin {command} failed ({status}){stderr}", command = QuotedText(command))]
    Failed {
        /// The program.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// The end of standard error, with punctuation.
        stderr: String,
    },
    /// The output of the plugin is not a usable `ExecCredential`.
    #[error("credential plugin {command} printed no usable ExecCredential: {fault}{stderr}", command = QuotedText(command))]
    Output {
        /// The program.
        command: String,
        /// The fault of its output.
        #[source]
        fault: Box<dyn Error + Send + Sync>,
        /// The end of its standard error, with punctuation.
        stderr: String,
    },
}

impl Plugin {
    /// Returns the plugin in the field `exec` of a user.
    pub(crate) fn of(
        user: &KubeconfigEntry,
        exec: &YamlNode,
        cluster: &KubeconfigEntry,
    ) -> Result<Self, KubeconfigError> {
        let text = |field| text_in(exec, field).map_err(|fault| user.fault(format!("exec.{fault}")));
        let missing = |field| user.fault(format!("exec.{field} is missing"));
        let command = text("command")?.ok_or_else(|| missing("command"))?;
        let version = text("apiVersion")?.ok_or_else(|| missing("apiVersion"))?;
        if !version.starts_with(GROUP) {
            return Err(user.fault(format!("exec.apiVersion {} is not supported", QuotedText(version))));
        }
        if text("interactiveMode")? == Some("Always") {
            return Err(
                user.fault("exec.interactiveMode is Always: a plugin that asks questions cannot be used")
            );
        }
        let mut env = Vec::new();
        for variable in exec.get("env").elements() {
            let name = variable.get("name").text().filter(|name| !name.is_empty() && !name.contains('='));
            let name = name.ok_or_else(|| user.fault("exec.env has a variable without a name"))?;
            env.push((name.to_owned(), variable.get("value").text().unwrap_or_default().to_owned()));
        }
        let args = texts(user, "exec.args", exec.get("args"))?;
        let with_cluster =
            flag_in(exec, "provideClusterInfo").map_err(|fault| user.fault(format!("exec.{fault}")))?;
        let mut spec = json!({ "interactive": false });
        if with_cluster {
            spec["cluster"] = cluster_info(cluster)?;
        }
        let info = json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec }).to_string();
        let install_hint = text("installHint")?.map(str::to_owned);
        let command = resolve(user, command);
        Ok(Self { command, args, env, info, install_hint, time_limit: TIME_LIMIT })
    }

    /// Returns the error for the time while it runs.
    pub(crate) fn pending(&self) -> PluginError {
        PluginError::Pending { command: self.command.clone() }
    }

    /// Returns the program's path or name.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Runs the program once. The program and all its children are killed if it takes longer than 30 s or prints more
    /// than 1 MiB, or if this future is dropped.
    pub(crate) async fn run(&self) -> Result<PluginCredentials, PluginError> {
        let mut running = RunningPlugin::start(self).map_err(|source| self.not_started(source))?;
        let ended = timeout(self.time_limit, running.wait()).await;
        let (command, stderr) = (self.command.clone(), running.stderr());
        match ended {
            Err(_) => Err(PluginError::TimeLimit { command, limit: self.time_limit, stderr }),
            Ok(Err(error)) => Err(PluginError::Output { command, fault: error.into(), stderr }),
            Ok(Ok(status)) if !status.success() => Err(PluginError::Failed { command, status, stderr }),
            Ok(Ok(_)) => credentials(&running.stdout).map_err(|fault| PluginError::Output {
                command,
                fault: fault.into(),
                stderr,
            }),
        }
    }

    fn not_started(&self, source: io::Error) -> PluginError {
        let hint = self
            .install_hint
            .as_deref()
            .map(|hint| format!("; install hint of the kubeconfig: {}", QuotedText(hint)));
        PluginError::Start { command: self.command.clone(), source, hint: hint.unwrap_or_default() }
    }
}

/// Returns a program's path, relative to the kubeconfig; a name without a separator is left for a search in `PATH`.
pub(crate) fn resolve(user: &KubeconfigEntry, command: &str) -> String {
    if command.contains(MAIN_SEPARATOR) {
        user.resolve(command).display().to_string()
    } else {
        command.to_owned()
    }
}

/// A running plugin. Dropping it kills its process group.
struct RunningPlugin {
    child: Child,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl RunningPlugin {
    fn start(plugin: &Plugin) -> io::Result<Self> {
        let child = Command::new(&plugin.command)
            .args(&plugin.args)
            .envs(plugin.env.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", &plugin.info)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, stdout: Vec::new(), stderr: Vec::new() })
    }

    /// Reads its output and waits for its end.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Self { child, stdout, stderr } = self;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let out = async {
            let Some(out) = out else { return Ok(()) };
            out.take(MAX_OUTPUT as u64 + 1).read_to_end(stdout).await?;
            if stdout.len() > MAX_OUTPUT { Err(io::Error::other("more than 1 MiB")) } else { Ok(()) }
        };
        let err = async {
            let Some(err) = err else { return Ok(()) };
            keep_end(err, stderr).await
        };
        // The process is waited for only after both have ended, so that its process id is not reused before.
        tokio::try_join!(out, err)?;
        child.wait().await
    }

    /// Returns the end of standard error, preceded by punctuation; empty if there is none.
    fn stderr(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let text = text.trim();
        if text.is_empty() { String::new() } else { format!("; stderr: {}", QuotedText(tail(text))) }
    }
}

impl Drop for RunningPlugin {
    fn drop(&mut self) {
        // A child that still has an id has not been waited for, so no other process can have this id.
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails if all processes of the group have ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Returns the last 150 characters of a text, which usually contain the reason of a failure.
fn tail(text: &str) -> &str {
    let start = text.char_indices().rev().nth(149).map_or(0, |(start, _)| start);
    &text[start..]
}

/// Reads to the end, and keeps the last [`MAX_STDERR`] bytes.
async fn keep_end(mut from: impl AsyncRead + Unpin, kept: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 4096];
    loop {
        let count = from.read(&mut part).await?;
        if count == 0 {
            return Ok(());
        }
        kept.extend_from_slice(&part[..count]);
        let excess = kept.len().saturating_sub(MAX_STDERR);
        kept.drain(..excess);
    }
}

/// Returns the credentials in the output of a plugin.
fn credentials(output: &[u8]) -> Result<PluginCredentials, String> {
    let text = str::from_utf8(output).map_err(|_| "it is not UTF-8".to_owned())?;
    let document = match YamlNode::parse(text) {
        Ok(documents) => documents.into_iter().next().unwrap_or_default(),
        Err(error) => return Err(format!("line {}: {}", error.line, QuotedText(&error.cause))),
    };
    match document.get("kind").text() {
        Some("ExecCredential") => {}
        Some(kind) => return Err(format!("its kind is {}", QuotedText(kind))),
        None => return Err(format!("it is {} without kind: ExecCredential", document.kind())),
    }
    let status = document.get("status");
    let text = |field| text_in(status, field).map_err(|fault| format!("status.{fault}"));
    let header = text("token")?.map(bearer).transpose()?;
    let identity = match (text("clientCertificateData")?, text("clientKeyData")?) {
        (Some(certificate), Some(key)) => Some(ClientCertificate::from_pem(certificate, key)?),
        (None, None) => None,
        _ => return Err("clientCertificateData and clientKeyData go together".to_owned()),
    };
    if header.is_none() && identity.is_none() {
        return Err("its status has neither a token nor a client certificate".to_owned());
    }
    let expires = text("expirationTimestamp")?.map(|text| {
        text.parse::<Timestamp>()
            .map_err(|_| format!("expirationTimestamp {} is not an RFC 3339 time", QuotedText(text)))
    });
    Ok(PluginCredentials { header, identity, expires: expires.transpose()? })
}

/// Returns the description of the cluster for plugins that request it (`provideClusterInfo`).
fn cluster_info(cluster: &KubeconfigEntry) -> Result<serde_json::Value, KubeconfigError> {
    let mut info = serde_json::Map::new();
    for field in ["server", "tls-server-name", "proxy-url"] {
        if let Some(text) = cluster.text(field)? {
            info.insert(field.to_owned(), text.into());
        }
    }
    for field in ["insecure-skip-tls-verify", "disable-compression"] {
        if cluster.flag(field)? {
            info.insert(field.to_owned(), true.into());
        }
    }
    if let Some(authority) = Pem::of(cluster, "certificate-authority-data", "certificate-authority")? {
        let text = STANDARD.encode(authority.read(cluster)?);
        info.insert("certificate-authority-data".to_owned(), text.into());
    }
    let extensions = cluster.node().get("extensions").elements();
    if let Some(found) = extensions.iter().find(|extension| extension.get("name").text() == Some(EXTENSION)) {
        info.insert("config".to_owned(), found.get("extension").to_json());
    }
    Ok(info.into())
}

#[cfg(test)]
mod tests;
