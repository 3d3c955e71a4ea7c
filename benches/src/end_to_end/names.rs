//! Data and queries of the servers: the same pods for all, in the format of each server.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::cases::{MILLION, address, namespace};

/// The zone that all servers serve.
pub const ZONE: &str = "pod.cluster.local";

/// One of so many queries is for a pod that does not exist.
const MISS_EVERY: u32 = 10;

/// Returns the label of pod `number`, with another first octet if the pod is not to exist.
fn label(number: u32, exists: bool) -> String {
    let [first, rest @ ..] = address(number).octets();
    // Pods are in 10.0.0.0/8.
    let first = if exists { first } else { 11 };
    let [second, third, fourth] = rest;
    format!("{first}-{second}-{third}-{fourth}")
}

/// Returns the name of pod `number`, absolute, but without the final dot.
#[must_use]
pub fn name(number: u32) -> String {
    format!("{}.{}.{ZONE}", label(number, true), namespace(number))
}

/// Writes one query per line in the format of dnsperf. Of ten, nine are for one of `pods` pods and one is for an
/// address that no pod has.
pub fn write_queries(path: &Path, pods: u32, queries: u32) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    // A generator of period 2^32 (Numerical Recipes), of which the high bits are the most random.
    let mut state = 0_u32;
    for at in 0..queries {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = u32::try_from((u64::from(state) * u64::from(pods)) >> 32).unwrap_or_default();
        let exists = at % MISS_EVERY != 0;
        writeln!(out, "{}.{}.{ZONE} A", label(number, exists), namespace(number))?;
    }
    out.flush()
}

/// Writes the pods in the format of `kubectl get pods -A -o json`, with the fields that poddns reads.
pub fn write_pods_file(path: &Path, pods: u32) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write!(out, r#"{{"apiVersion":"v1","kind":"List","items":["#)?;
    for number in 0..pods {
        let comma = if number == 0 { "" } else { "," };
        let (namespace, address) = (namespace(number), address(number));
        write!(
            out,
            r#"{comma}{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"pod-{number}","namespace":"{namespace}","uid":"{}"}},"spec":{{}},"status":{{"phase":"Running","podIP":"{address}","podIPs":[{{"ip":"{address}"}}]}}}}"#,
            uid(number),
        )?;
    }
    write!(out, "]}}")?;
    out.flush()
}

/// Returns a UUID for a pod.
fn uid(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-{:012x}", u64::from(number).wrapping_mul(0x9e37_79b9))
}

/// Writes the pods as a zone file.
pub fn write_zone(path: &Path, pods: u32) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "$ORIGIN {ZONE}.\n$TTL 5")?;
    writeln!(out, "@ SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5")?;
    writeln!(out, "@ NS ns.dns.cluster.local.")?;
    for number in 0..pods {
        writeln!(out, "{}.{} A {}", label(number, true), namespace(number), address(number))?;
    }
    out.flush()
}

/// Writes the pods as lines of an unbound configuration.
pub fn write_local_data(out: &mut impl Write, pods: u32) -> io::Result<()> {
    writeln!(out, "  local-zone: \"{ZONE}.\" static")?;
    let soa = "SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5";
    writeln!(out, "  local-data: \"{ZONE}. 5 {soa}\"")?;
    for number in 0..pods {
        writeln!(out, "  local-data: \"{}. 5 A {}\"", name(number), address(number))?;
    }
    Ok(())
}

/// Maximum number of pods that have a name.
pub const MOST_PODS: u32 = MILLION;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_query_in_ten_misses() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("queries");
        write_queries(&path, 1000, 10_000).expect("written");
        let queries = std::fs::read_to_string(path).expect("read");
        let misses = queries.lines().filter(|query| query.starts_with("11-")).count();
        assert_eq!((queries.lines().count(), misses), (10_000, 1000));
        assert!(queries.lines().all(|query| query.ends_with(".pod.cluster.local A")));
    }

    #[test]
    fn pods_are_json() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pods.json");
        write_pods_file(&path, 3).expect("written");
        let pods: serde_json::Value = serde_json::from_reader(File::open(path).expect("open")).expect("JSON");
        assert_eq!(pods["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(pods["items"][2]["status"]["podIPs"][0]["ip"], address(2).to_string());
    }
}
