//! The names to compare: of pods, from a file, or from a query log.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;

use hickory_proto::rr::{Name, RecordType};
use poddns_core::Label;
use poddns_core::podip::PodIpLabel;
use poddns_watch::{Feed, Scope, Source};
use serde_json::Value;
use thiserror::Error;

use crate::admin::{Admin, text};
use crate::names::pod_name;
use crate::outcome::{CommandError, note};
use crate::pods;
use crate::query::{ArgError, LineMistake, Lines, ServerArg, default_type, questions_of_line, record_type};
use crate::runtime::runtime;
use crate::text::{NameTextError, parse_name, show_path};

/// Value of `target` in the lines of poddnsd's query log.
const QUERY_LOG: &str = "poddns_query";

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) name: Name,
    pub(crate) record_type: RecordType,
}

/// The source of names.
pub(super) struct ProbeSource<'a> {
    pub(super) admin: &'a ServerArg,
    pub(super) pods_file: Option<&'a Path>,
    /// A file of names, or of lines of a query log.
    pub(super) file: Option<&'a Path>,
    pub(super) namespace: Option<Label>,
    pub(super) domain: &'a str,
}

/// Callback for questions.
type Each<'a> = &'a mut dyn FnMut(&Probe) -> Result<(), CommandError>;

impl<'a> ProbeSource<'a> {
    /// Opens the source.
    pub(super) fn open(self) -> Result<OpenProbeSource<'a>, CommandError> {
        let ProbeSource { admin, pods_file, file, namespace, domain } = self;
        let source = match (file, pods_file) {
            (Some(path), _) => ProbeOrigin::Lines(path),
            (None, Some(path)) => ProbeOrigin::Pods(open_pods(path, namespace)?),
            (None, None) => ProbeOrigin::Server(Admin::new(admin)?, namespace),
        };
        Ok(OpenProbeSource { source, domain })
    }
}

/// The source of the questions.
enum ProbeOrigin<'a> {
    Lines(&'a Path),
    Pods(Feed),
    Server(Admin, Option<Label>),
}

/// An opened source of names.
pub(super) struct OpenProbeSource<'a> {
    source: ProbeOrigin<'a>,
    domain: &'a str,
}

impl OpenProbeSource<'_> {
    /// Returns the number of questions; `None` if the source can be read only once or not at all.
    pub(super) fn count(&self) -> Option<u64> {
        let mut count = 0;
        let each: Each<'_> = &mut |_| {
            count += 1;
            Ok(())
        };
        match &self.source {
            ProbeOrigin::Lines(path) if !path.is_file() => return None,
            ProbeOrigin::Lines(path) => in_file(path, each, &|_| {}),
            ProbeOrigin::Pods(feed) => self.of_pods(feed, each),
            ProbeOrigin::Server(admin, namespace) => self.of_server(admin, *namespace, each),
        }
        .ok()?;
        Some(count)
    }

    /// Calls `each` with every question as it is read.
    pub(super) fn for_each(&self, each: Each<'_>) -> Result<(), CommandError> {
        match &self.source {
            ProbeOrigin::Lines(path) => in_file(path, each, &note),
            ProbeOrigin::Pods(feed) => self.of_pods(feed, each),
            ProbeOrigin::Server(admin, namespace) => self.of_server(admin, *namespace, each),
        }
    }

    fn of_server(&self, admin: &Admin, namespace: Option<Label>, each: Each<'_>) -> Result<(), CommandError> {
        let parameters = namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
        pods::list(admin, &parameters, &mut |pod| {
            let namespace = text(pod, "namespace");
            let addresses = pods::addresses(pod).filter_map(|address| address.parse().ok());
            addresses.into_iter().try_for_each(|address| each(&self.probe(namespace, address)?))
        })?;
        Ok(())
    }

    fn of_pods(&self, feed: &Feed, each: Each<'_>) -> Result<(), CommandError> {
        let (index, mut from, mut result) = (feed.index(), Some(0), Ok(()));
        while let Some(first) = from {
            from = index.scan(first, u32::MAX, |pod| {
                let ask = |address| each(&self.probe(pod.namespace.as_str(), address)?);
                result = pod.addresses().try_for_each(ask);
                if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            if result.is_err() {
                break;
            }
        }
        result
    }

    fn probe(&self, namespace: &str, address: IpAddr) -> Result<Probe, CommandError> {
        let name = pod_name(PodIpLabel::from(address), namespace, self.domain)?;
        let record_type = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        Ok(Probe { name, record_type })
    }
}

fn open_pods(path: &Path, namespace: Option<Label>) -> Result<Feed, CommandError> {
    let scope = Scope { namespaces: namespace.into_iter().collect(), ..Scope::default() };
    Ok(runtime()?.block_on(Feed::open(Source::FileOrPipe(path.to_owned()), scope))?)
}

fn in_file(path: &Path, each: Each<'_>, report: &dyn Fn(&str)) -> Result<(), CommandError> {
    let shown = show_path(path);
    for (number, line) in (1_u64..).zip(Lines::open(path).map_err(CommandError::run)?) {
        match read(&line.map_err(CommandError::run)?) {
            Ok(probes) => probes.iter().try_for_each(&mut *each)?,
            Err(error) => report(&format!("{shown}, line {number} is left out: {error}")),
        }
    }
    Ok(())
}

/// Reason why a line has no valid question.
#[derive(Debug, Error)]
enum ProbeLineError {
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its \"name\" {0}")]
    Name(#[from] NameTextError),
    #[error("its \"type\" is {0}")]
    Type(#[from] ArgError),
    #[error(transparent)]
    Words(#[from] LineMistake),
}

/// Returns the questions of a line.
fn read(line: &str) -> Result<Vec<Probe>, ProbeLineError> {
    let line = line.trim();
    if line.starts_with('{') {
        return from_json(line).map(|probe| probe.into_iter().collect());
    }
    if let Some(probe) = from_coredns(line) {
        return Ok(vec![probe]);
    }
    let questions = questions_of_line(line)?;
    Ok(questions.into_iter().map(|(name, record_type)| Probe { name, record_type }).collect())
}

/// Parses a line of poddnsd's query log; `None` for other lines of its log, and for queries without a question.
fn from_json(line: &str) -> Result<Option<Probe>, ProbeLineError> {
    let object: Value = serde_json::from_str(line)?;
    let target = object.get("target").and_then(Value::as_str);
    if target.is_some_and(|target| target != QUERY_LOG || object["name"].is_null()) {
        return Ok(None);
    }
    let name = parse_name(text(&object, "name"))?;
    let record_type = match text(&object, "type") {
        "" => default_type(&name),
        text => record_type(text)?,
    };
    Ok(Some(Probe { name, record_type }))
}

/// Parses a line of CoreDNS' log plugin:
/// `[INFO] 10.244.0.5:38472 - 2189 "A IN 10-42-2-46.default.pod.cluster.local. udp …"`.
fn from_coredns(line: &str) -> Option<Probe> {
    let (_, quoted) = line.split_once(" \"")?;
    let mut words = quoted.split(' ');
    let (rtype, class, name) = (words.next()?, words.next()?, words.next()?);
    if class != "IN" {
        return None;
    }
    Some(Probe { name: parse_name(name).ok()?, record_type: record_type(rtype).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(line: &str) -> Vec<(String, RecordType)> {
        let probes = read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        probes.into_iter().map(|probe| (probe.name.to_string(), probe.record_type)).collect()
    }

    #[test]
    fn lines_of_names_and_logs_are_read() {
        let (a, aaaa) = (RecordType::A, RecordType::AAAA);
        assert_eq!(probes("web A AAAA"), [("web.".to_owned(), a), ("web.".to_owned(), aaaa)]);
        assert_eq!(probes("fd00--7.web"), [("fd00--7.web.".to_owned(), aaaa)]);
        assert_eq!(probes("# comment"), []);
        let log = r#"[INFO] 10.244.0.5:38472 - 2189 "AAAA IN fd00--7.web. udp 60 false 512" NXDOMAIN qr,aa 150 0.0001s"#;
        assert_eq!(probes(log), [("fd00--7.web.".to_owned(), aaaa)]);
        assert_eq!(probes(r#"{"client":"::1","name":"web.","type":"A"}"#), [("web.".to_owned(), a)]);
    }

    #[test]
    fn queries_of_logs_are_read() {
        let document = include_str!("../../../docs/query-log.md");
        let example = document.lines().find(|line| line.starts_with('{')).expect("an example");
        assert_eq!(probes(example), [("10-42-2-46.web.pod.cluster.local.".to_owned(), RecordType::A)]);
        assert_eq!(probes(&example.replace("\"10-42-2-46.web.pod.cluster.local.\"", "null")), []);
        assert_eq!(probes(r#"{"level":"INFO","message":"ready","target":"poddns_net::daemon"}"#), []);
    }

    #[test]
    fn questions_of_regular_files_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (lines, pods) = (folder.path().join("names"), Path::new("../demo/pods.json"));
        std::fs::write(&lines, "web A AAAA\na..b\nweb\n").expect("a file");
        let admin = ServerArg::local();
        let count = |file, pods_file, namespace| {
            let names = ProbeSource { admin: &admin, pods_file, file, namespace, domain: "cluster.local" };
            names.open().expect("the source opens").count()
        };
        assert_eq!(count(Some(lines.as_path()), None, None), Some(3));
        assert_eq!(count(Some(Path::new("/dev/null")), None, None), None);
        let (all, some) = (count(None, Some(pods), None), count(None, Some(pods), "default".parse().ok()));
        assert!(some > Some(0) && some < all, "{some:?} of {all:?}");
    }

    #[test]
    fn broken_lines_have_a_reason() {
        for (line, why) in [
            ("a..b", "empty label"),
            ("{", "not JSON"),
            ("{}", "\"name\" is empty"),
            (r#"{"name":"a","type":"B"}"#, "not a record type"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.to_string().contains(why), "{line}: {error}");
        }
    }
}
