//! Amplification of forged queries: octets that the server sends to the victim for each kind of response.
//!
//! ```text
//! cargo run --package poddns-net --example amplification
//! ```
//!
//! Names in the queries have about 40 octets, like those that resolvers of pods send. `ratio` is that of the DNS
//! messages alone, the usual measure; `on the wire` includes the 28 octets of the IPv4 and UDP headers in both
//! directions.

use std::fmt;
use std::net::IpAddr;

use poddns_core::{
    Config, CookieSecrets, Freshness, Label, Mode, Outcome, PodLookup, Request, Transport, Unknown, Zone,
    respond,
};

/// Octets of the IPv4 and UDP headers.
const BELOW: usize = 28;

/// A cluster with one dual-stack pod.
struct Cluster {
    synced: bool,
}

impl PodLookup for Cluster {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(namespace.as_str() == "default")
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        let pods = [IpAddr::from([10, 42, 2, 46]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0x2e])];
        Ok(namespace.as_str() == "default" && pods.contains(&address))
    }

    fn addresses_of(
        &self,
        _namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        // A pod has one address of each family in Kubernetes.
        if pod.as_str() == "web-0" {
            each(IpAddr::from([10, 42, 2, 46]));
            each(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0x2e]));
        }
        Ok(())
    }

    fn freshness(&self) -> Freshness {
        if self.synced { Freshness::Fresh } else { Freshness::Unsynced }
    }

    fn serial(&self) -> u32 {
        1_800_000_000
    }
}

/// Records after the question of a query.
#[derive(Clone, Copy)]
enum Extra {
    /// None.
    Plain,
    /// An OPT without options.
    Edns,
    /// An OPT with all supported options: a cookie and NSID.
    All,
}

/// A row of the table.
pub struct Row {
    /// The kind of answer.
    pub kind: &'static str,
    /// Additional parts of a query.
    pub with: &'static str,
    /// Octets of the query.
    pub query: usize,
    /// Octets of the response.
    pub response: usize,
    /// Octets of the truncated response that the rate limiter sends in its place.
    pub truncated: usize,
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred octets")]
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = |response: usize| response as f64 / self.query as f64;
        let wire = (self.response + BELOW) as f64 / (self.query + BELOW) as f64;
        let Self { kind, with, query, response, truncated } = self;
        write!(f, "{kind:24} {with:12} {query:5} {response:8} {:7.2} {wire:11.2}", ratio(*response))?;
        write!(f, " {truncated:9} {:7.2}", ratio(*truncated))
    }
}

fn question(name: &str, rtype: u16, class: u16) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).unwrap_or(63));
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend([rtype.to_be_bytes(), class.to_be_bytes()].concat());
    query
}

fn with(mut query: Vec<u8>, extra: Extra, version: u8) -> Vec<u8> {
    let options: &[u8] = match extra {
        Extra::Plain => return query,
        Extra::Edns => &[],
        // A client cookie, and an empty NSID.
        Extra::All => &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0],
    };
    query[11] = 1;
    query.extend([0, 0, 41, 4, 208, 0, version, 0, 0, 0, u8::try_from(options.len()).unwrap_or(0)]);
    query.extend(options);
    query
}

/// Returns a row for every kind of answer, with and without EDNS.
///
/// The server has an NSID and CH texts of the usual lengths.
#[must_use]
pub fn table() -> Vec<Row> {
    let zones: Vec<Zone> = Zone::new("cluster.local").into_iter().collect();
    let secrets = CookieSecrets { current: [7; 16], previous: None };
    let mut config = Config::new(Mode::Verified, &zones);
    config.pod_names = true;
    config.cookies = Some(&secrets);
    config.nsid = Some(b"poddns-7d4b9c6f5-x2x7k");
    config.chaos_version = Some("poddns 0.1.0");
    config.chaos_id = Some("poddns-7d4b9c6f5-x2x7k");
    let pod = "10-42-2-46.default.pod.cluster.local";
    let mut not_a_query = question(pod, 1, 1);
    // Opcode NOTIFY.
    not_a_query[2] = 0x20;
    let kinds: Vec<(&'static str, Vec<u8>)> = vec![
        ("A", question(pod, 1, 1)),
        ("AAAA", question("fd00--2e.default.pod.cluster.local", 28, 1)),
        ("A of a pod's name", question("web-0.default.pod.cluster.local", 1, 1)),
        ("ANY", question("web-0.default.pod.cluster.local", 255, 1)),
        ("NODATA", question(pod, 28, 1)),
        ("NXDOMAIN", question("10-42-2-47.default.pod.cluster.local", 1, 1)),
        ("SOA", question("pod.cluster.local", 6, 1)),
        ("NS", question("pod.cluster.local", 2, 1)),
        ("REFUSED, other zone", question("kubernetes.default.svc.example.com", 1, 1)),
        ("REFUSED, root", question("", 2, 1)),
        ("REFUSED, AXFR", question("pod.cluster.local", 252, 1)),
        ("NOTIMP", not_a_query),
        ("CH TXT version.bind", question("version.bind", 16, 3)),
        ("CH TXT id.server", question("id.server", 16, 3)),
    ];
    let mut rows = Vec::new();
    for (extra, label) in [(Extra::Plain, "plain"), (Extra::Edns, "EDNS"), (Extra::All, "cookie, NSID")] {
        for (kind, query) in &kinds {
            rows.extend(row(&config, true, kind, label, &with(query.clone(), extra, 0)));
        }
        let cut: Vec<u8> = with(question(pod, 1, 1).into_iter().take(30).collect(), extra, 0);
        rows.extend(row(&config, true, "FORMERR", label, &cut));
        rows.extend(row(&config, false, "SERVFAIL, not ready", label, &with(question(pod, 1, 1), extra, 0)));
        if !matches!(extra, Extra::Plain) {
            rows.extend(row(&config, true, "BADVERS", label, &with(question(pod, 1, 1), extra, 1)));
        }
    }
    rows
}

fn row(
    config: &Config<'_>,
    synced: bool,
    kind: &'static str,
    with: &'static str,
    query: &[u8],
) -> Option<Row> {
    let mut request = Request::new(Transport::Udp, IpAddr::from([203, 0, 113, 7]), 1_800_000_000);
    let mut out = [0; 1232];
    let Outcome::Reply(whole) = respond(config, &Cluster { synced }, query, &request, &mut out) else {
        return None;
    };
    request.truncate = true;
    let Outcome::Reply(cut) = respond(config, &Cluster { synced }, query, &request, &mut out) else {
        return None;
    };
    Some(Row { kind, with, query: query.len(), response: whole.len, truncated: cut.len })
}

fn main() {
    println!("{:24} {:12} query response   ratio on the wire truncated   ratio", "answer", "query with");
    for row in table() {
        println!("{row}");
    }
}
