//! `poddns pods`: the pods of a running server's index.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use poddns_core::{Label, podip};
use serde_json::{Value, json};
use thiserror::Error;

use crate::admin::{Admin, encode, freshness, text};
use crate::outcome::{CommandError, note, print_part};
use crate::query::ServerArg;
use crate::text::show_text;

/// Version of the format of `--json`.
const VERSION: u32 = 1;

/// The command line of `poddns pods`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  poddns pods                                  all pods
  poddns pods 10.42.2.46                       pods with this address
  poddns pods 10-42-2-46.web.pod.cluster.local the same, whatever the namespace in the name
  poddns pods --namespace web                  pods of a namespace
  poddns pods web-0 db/postgres-0              pods by name, if poddnsd runs with --pod-names

Exit status: 0 if each argument has a pod, 1 if one has none or the server cannot be reached, 64 for bad usage.")]
pub(crate) struct PodsArgs {
    /// Addresses, pods' names, or NAMESPACE/NAME
    #[arg(value_name = "IP|NAME")]
    subjects: Vec<PodSelector>,
    /// Pods of this namespace only
    #[arg(long, short, value_name = "NS", value_parser = |text: &str| text.parse::<Label>())]
    namespace: Option<Label>,
    /// The server's admin endpoints
    #[arg(long, short, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:8053")]
    server: ServerArg,
    /// Print one JSON object a pod, on a line
    #[arg(long)]
    json: bool,
}

/// Selection of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PodSelector {
    Address(IpAddr),
    Pod { namespace: Option<Label>, name: Label },
}

/// Reason why an argument does not select a pod.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("neither an address nor a pod's name; give one such as 10.42.2.46, web-0 or NAMESPACE/web-0")]
struct PodSelectorError;

impl FromStr for PodSelector {
    type Err = PodSelectorError;

    fn from_str(given: &str) -> Result<Self, PodSelectorError> {
        let first = given.split('.').next().unwrap_or_default();
        let dashed = || podip::parse(first.as_bytes());
        if let Some(address) = given.parse().ok().or_else(dashed) {
            return Ok(Self::Address(address));
        }
        let (namespace, name) = given.split_once('/').map_or((None, given), |(one, two)| (Some(one), two));
        let namespace = namespace.map(str::parse).transpose().map_err(|_| PodSelectorError)?;
        Ok(Self::Pod { namespace, name: name.parse().map_err(|_| PodSelectorError)? })
    }
}

impl PodSelector {
    /// Returns the parameters of `/pods` for this selection.
    fn parameters(&self, namespace: Option<Label>) -> String {
        let mut parameters = String::new();
        let own = match self {
            Self::Address(address) => {
                let _ = write!(parameters, "&address={}", encode(&address.to_string()));
                None
            }
            Self::Pod { namespace, name } => {
                let _ = write!(parameters, "&name={name}");
                *namespace
            }
        };
        if let Some(namespace) = own.or(namespace) {
            let _ = write!(parameters, "&namespace={namespace}");
        }
        parameters
    }

    fn missing(&self) -> String {
        match self {
            Self::Address(address) => format!("no pod has {address}"),
            Self::Pod { name, .. } => {
                format!("no pod is named {name}; names are known if poddnsd runs with --pod-names")
            }
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &PodsArgs) -> Result<ExitCode, CommandError> {
    let admin = Admin::new(&args.server)?;
    let mut table = PodTable { json: args.json, begun: false };
    let all = args.namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
    if args.subjects.is_empty() {
        let (count, state) = list(&admin, &all, &mut |pod| table.row(pod))?;
        if count == 0 {
            note("the index has no such pods");
        }
        warn(&state);
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for subject in &args.subjects {
        let (count, state) = list(&admin, &subject.parameters(args.namespace), &mut |pod| table.row(pod))?;
        if count == 0 {
            note(&format!("{}; the index is {}", subject.missing(), freshness(&state)));
            code = ExitCode::FAILURE;
        } else {
            warn(&state);
        }
    }
    Ok(code)
}

/// Warns if the output may be out of date.
fn warn(state: &Value) {
    if text(state, "state") != "fresh" {
        note(&format!("the index is {}", freshness(state)));
    }
}

/// Calls `each` with the pods that match the parameters, page by page; returns their number and the state of the
/// index.
pub(crate) fn list(
    admin: &Admin,
    parameters: &str,
    each: &mut dyn FnMut(&Value) -> Result<(), CommandError>,
) -> Result<(usize, Value), CommandError> {
    let (mut count, mut from) = (0, String::new());
    loop {
        let page = admin.document(&format!("/pods?limit=1000{parameters}{from}"))?;
        let pods = page.get("pods").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        pods.iter().try_for_each(&mut *each)?;
        count += pods.len();
        match page.get("continue").and_then(Value::as_str) {
            Some(next) => from = format!("&continue={}", encode(next)),
            None => return Ok((count, page.get("freshness").cloned().unwrap_or_default())),
        }
    }
}

/// Returns the addresses of a pod of a page.
pub(crate) fn addresses(pod: &Value) -> impl Iterator<Item = &str> {
    pod.get("addresses").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Table of pods, printed row by row as they arrive.
struct PodTable {
    json: bool,
    begun: bool,
}

impl PodTable {
    fn row(&mut self, pod: &Value) -> Result<(), CommandError> {
        if self.json {
            let object = json!({
                "version": VERSION,
                "namespace": pod.get("namespace"),
                "name": pod.get("name"),
                "addresses": pod.get("addresses"),
            });
            return print_part(&format!("{object}\n"));
        }
        let head = if std::mem::replace(&mut self.begun, true) { "" } else { HEAD };
        let name = pod.get("name").and_then(Value::as_str).unwrap_or("-");
        let addresses = addresses(pod).collect::<Vec<_>>().join(",");
        let (namespace, name, addresses) =
            (show_text(text(pod, "namespace")), show_text(name), show_text(&addresses));
        print_part(&format!("{head}{namespace:<24} {name:<40} {addresses}\n"))
    }
}

const HEAD: &str = "NAMESPACE                NAME                                     ADDRESSES\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_addresses_or_names() {
        let address = |text: &str| PodSelector::Address(text.parse().expect("an address"));
        let label = |text: &str| text.parse::<Label>().expect("a label");
        for (given, subject) in [
            ("10.42.2.46", address("10.42.2.46")),
            ("fd00::7", address("fd00::7")),
            ("10-42-2-46", address("10.42.2.46")),
            ("fd00--7.web.pod.cluster.local", address("fd00::7")),
            ("web-0", PodSelector::Pod { namespace: None, name: label("web-0") }),
            ("db/web-0", PodSelector::Pod { namespace: Some(label("db")), name: label("web-0") }),
        ] {
            assert_eq!(given.parse(), Ok(subject), "{given}");
        }
        for bad in ["", "Web", "a/b/c", "web.default", "10.42.2.0/24"] {
            assert_eq!(bad.parse::<PodSelector>(), Err(PodSelectorError), "{bad}");
        }
    }

    #[test]
    fn own_namespace_of_a_subject_wins() {
        let label = |text: &str| text.parse::<Label>().expect("a label");
        let subject: PodSelector = "db/web-0".parse().expect("a pod");
        assert_eq!(subject.parameters(Some(label("web"))), "&name=web-0&namespace=db");
        let subject: PodSelector = "fd00::7".parse().expect("an address");
        assert_eq!(subject.parameters(Some(label("web"))), "&address=fd00%3A%3A7&namespace=web");
    }
}
