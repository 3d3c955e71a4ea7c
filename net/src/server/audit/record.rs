//! Format of an audit file: text of three lines.
//!
//! | line | contents |
//! |---|---|
//! | 1 | `poddns-audit 1`: the format and its version |
//! | 2 | SipHash-1-3 of the third line with a key of zeros, in 16 hexadecimal digits |
//! | 3 | a JSON object: the domains audited, the counts, and the pairs of name and client |

use std::net::IpAddr;
use std::time::Duration;

use poddns_core::{AuditFinding, Label};
use serde_json::{Map, Value, json};
use siphasher::sip::SipHasher13;
use thiserror::Error;

use super::counts::{AuditCounts, PAIRS};
use super::table::{AuditEntry, AuditedQuery};

const MAGIC: &str = "poddns-audit ";
const VERSION: u32 = 1;

/// Maximum size of a file in bytes: [`PAIRS`] pairs take a third of it.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// Maximum number of domains.
const MAX_DOMAINS: usize = 1024;

/// Maximum time of observation: a thousand years.
const MAX_OBSERVED: Duration = Duration::from_hours(1000 * 366 * 24);

/// State of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditRecord {
    /// Unix seconds of the first observation.
    pub(crate) begun: u64,
    /// Time of observation; whole milliseconds in a file.
    pub(crate) observed: Duration,
    pub(crate) counts: AuditCounts,
    /// Upper bound of the occurrences that are missing in each count.
    pub(crate) missed: u64,
    /// At most [`PAIRS`].
    pub(crate) entries: Vec<AuditEntry>,
}

/// Reason why the contents of a file are not a record of this audit.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("it is no audit of poddns")]
    Foreign,
    #[error("it is of format {0:.20}, written by another version of poddns; this one reads format {VERSION}")]
    Version(String),
    #[error("it is damaged: its checksum is not that of its contents")]
    Checksum,
    #[error("its third line is not a JSON document: {0}")]
    Json(#[source] serde_json::Error),
    #[error("its field {0} is not one of an audit")]
    Field(&'static str),
    #[error("it is an audit of the domains {was:.200}, and now they are {is:.200}")]
    Domains { was: String, is: String },
}

impl AuditRecord {
    /// Returns the contents of a file.
    pub(crate) fn encode(&self, domains: &[String]) -> String {
        let pairs: Vec<Value> = self.entries.iter().map(encode_entry).collect();
        let mut findings = Map::new();
        for (finding, count) in AuditFinding::ALL.iter().zip(self.counts.findings) {
            findings.insert(finding.as_str().to_owned(), count.into());
        }
        let document = json!({
            "domains": domains,
            "begun": self.begun,
            "observed_ms": u64::try_from(self.observed.as_millis()).unwrap_or(u64::MAX),
            "queries": self.counts.queries,
            "without_client": self.counts.without_client,
            "findings": findings,
            "missed": self.missed,
            "pairs": pairs,
        });
        let document = document.to_string();
        format!("{MAGIC}{VERSION}\n{:016x}\n{document}\n", checksum(&document))
    }

    /// Parses the contents of a file, which must be an audit of these domains.
    pub(crate) fn decode(octets: &[u8], domains: &[String]) -> Result<Self, RecordError> {
        let document: Value = serde_json::from_str(document(octets)?).map_err(RecordError::Json)?;
        let of: Vec<String> = list(&document, "domains", MAX_DOMAINS)?
            .iter()
            .map(|domain| domain.as_str().map(str::to_owned).ok_or(RecordError::Field("domains")))
            .collect::<Result<_, _>>()?;
        if of != domains {
            return Err(RecordError::Domains { was: of.join(", "), is: domains.join(", ") });
        }
        let observed = Duration::from_millis(number(&document, "observed_ms")?);
        if observed > MAX_OBSERVED {
            return Err(RecordError::Field("observed_ms"));
        }
        let findings = document.get("findings").ok_or(RecordError::Field("findings"))?;
        let mut counts = AuditCounts {
            queries: number(&document, "queries")?,
            without_client: number(&document, "without_client")?,
            ..AuditCounts::default()
        };
        for (finding, count) in AuditFinding::ALL.iter().zip(&mut counts.findings) {
            *count = number(findings, finding.as_str()).map_err(|_| RecordError::Field("findings"))?;
        }
        let pairs = list(&document, "pairs", PAIRS)?;
        Ok(Self {
            begun: number(&document, "begun")?,
            observed,
            counts,
            missed: number(&document, "missed")?,
            entries: pairs
                .iter()
                .map(|pair| decode_entry(pair).ok_or(RecordError::Field("pairs")))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Returns true if the contents are an audit file of any version, which may be replaced.
pub(crate) fn is_audit(octets: &[u8]) -> bool {
    octets.starts_with(MAGIC.as_bytes())
}

/// Returns the third line, if the first two are valid.
fn document(octets: &[u8]) -> Result<&str, RecordError> {
    let text = octets.strip_prefix(MAGIC.as_bytes()).ok_or(RecordError::Foreign)?;
    let text = str::from_utf8(text).map_err(|_| RecordError::Checksum)?;
    let (version, rest) = text.split_once('\n').ok_or(RecordError::Checksum)?;
    if version != VERSION.to_string() {
        return Err(RecordError::Version(version.escape_debug().collect()));
    }
    let (sum, rest) = rest.split_once('\n').ok_or(RecordError::Checksum)?;
    let document = rest.strip_suffix('\n').ok_or(RecordError::Checksum)?;
    if sum == format!("{:016x}", checksum(document)) { Ok(document) } else { Err(RecordError::Checksum) }
}

fn checksum(text: &str) -> u64 {
    SipHasher13::new().hash(text.as_bytes())
}

fn number(document: &Value, field: &'static str) -> Result<u64, RecordError> {
    document.get(field).and_then(Value::as_u64).ok_or(RecordError::Field(field))
}

fn list<'a>(document: &'a Value, field: &'static str, most: usize) -> Result<&'a [Value], RecordError> {
    let list = document.get(field).and_then(Value::as_array).map(Vec::as_slice);
    list.filter(|list| list.len() <= most).ok_or(RecordError::Field(field))
}

fn encode_entry(entry: &AuditEntry) -> Value {
    json!({
        "namespace": entry.pair.namespace.as_str(),
        "address": entry.pair.address,
        "client": entry.pair.client,
        "finding": entry.finding.as_str(),
        "count": entry.count,
        "error": entry.error,
        "first": entry.first,
        "last": entry.last,
    })
}

fn decode_entry(value: &Value) -> Option<AuditEntry> {
    let number = |field| value.get(field)?.as_u64();
    let text = |field| value.get(field)?.as_str();
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let finding = text("finding")?;
    let mut refusals = AuditFinding::ALL.iter().filter(|&&finding| finding != AuditFinding::NotReady);
    let entry = AuditEntry {
        pair: AuditedQuery {
            namespace: text("namespace")?.parse::<Label>().ok()?,
            address: address(text("address")?)?,
            client: match value.get("client")? {
                Value::Null => None,
                client => Some(address(client.as_str()?)?),
            },
        },
        finding: *refusals.find(|known| known.as_str() == finding)?,
        count: number("count")?,
        error: number("error")?,
        first: number("first")?,
        last: number("last")?,
    };
    (entry.error <= entry.count && entry.first <= entry.last).then_some(entry)
}

/// Checks that bytes, alone and after the first two lines of a record, are refused with an error, or are a record that
/// is the same after it has been written and read again.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn check(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets).replace('\n', " ");
    let whole = format!("{MAGIC}{VERSION}\n{:016x}\n{text}\n", checksum(&text));
    for octets in [octets, whole.as_bytes()] {
        // With the domains of the record, so that the fields after them are checked.
        let domains = match AuditRecord::decode(octets, &[]) {
            Err(RecordError::Domains { .. }) => domains_of(octets),
            _ => Vec::new(),
        };
        match AuditRecord::decode(octets, &domains) {
            Ok(record) => {
                assert!(record.entries.len() <= PAIRS);
                let again = record.encode(&domains);
                assert_eq!(AuditRecord::decode(again.as_bytes(), &domains).ok().as_ref(), Some(&record));
            }
            Err(error) => assert!(error.to_string().len() < 1024),
        }
    }
}

#[cfg(any(test, feature = "fuzzing"))]
fn domains_of(octets: &[u8]) -> Vec<String> {
    let document = document(octets).ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let domains = document.as_ref().and_then(|document| document.get("domains")?.as_array());
    domains.into_iter().flatten().filter_map(|domain| domain.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn domains() -> Vec<String> {
        vec!["cluster.local".to_owned()]
    }

    fn entry() -> impl Strategy<Value = AuditEntry> {
        let pair = ("[a-z0-9]{1,20}", any::<IpAddr>(), option::of(any::<IpAddr>()));
        (pair, 0..3_usize, any::<(u64, u64, u64, u64)>()).prop_map(|(pair, finding, (a, b, c, d))| {
            AuditEntry {
                pair: AuditedQuery { namespace: pair.0.parse().unwrap(), address: pair.1, client: pair.2 },
                finding: AuditFinding::ALL[finding],
                count: a.max(b),
                error: a.min(b),
                first: c.min(d),
                last: c.max(d),
            }
        })
    }

    proptest! {
        #[test]
        fn records_are_read_as_written(
            entries in vec(entry(), 0..50), numbers: [u64; 7], milliseconds in 0..1_000_000_000_000_u64,
        ) {
            let [begun, queries, without_client, missed, a, b, c] = numbers;
            let record = AuditRecord {
                begun,
                observed: Duration::from_millis(milliseconds),
                counts: AuditCounts { queries, without_client, findings: [a, b, c, 7] },
                missed,
                entries,
            };
            let text = record.encode(&domains());
            prop_assert_eq!(AuditRecord::decode(text.as_bytes(), &domains()).unwrap(), record);
            check(text.as_bytes());
        }

        #[test]
        fn malformed_octets_are_refused(octets: Vec<u8>, damaged in 0..400_usize, with: u8) {
            check(&octets);
            let mut text = AuditRecord::default().encode(&domains()).into_bytes();
            let at = damaged % text.len();
            if text[at] != with {
                text[at] = with;
                prop_assert!(AuditRecord::decode(&text, &domains()).is_err(), "{}", String::from_utf8_lossy(&text));
            }
            check(&text);
        }
    }

    #[test]
    fn corpus_of_the_fuzzer_is_checked() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/audit_file");
        for file in std::fs::read_dir(folder).unwrap() {
            check(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let text = AuditRecord::default().encode(&domains());
        let error = |text: &str| AuditRecord::decode(text.as_bytes(), &domains()).unwrap_err().to_string();
        assert_eq!(error("[Service]\n"), "it is no audit of poddns");
        let newer = text.replace("poddns-audit 1", "poddns-audit 2");
        assert_eq!(
            error(&newer),
            "it is of format 2, written by another version of poddns; this one reads format 1"
        );
        assert_eq!(
            error(&text.replace("\"missed\":0", "\"missed\":1")),
            "it is damaged: its checksum is not that of its contents"
        );
        let others = AuditRecord::default().encode(&["example.org".to_owned()]);
        assert_eq!(
            error(&others),
            "it is an audit of the domains example.org, and now they are cluster.local"
        );
        let whole = |document: &str| format!("{MAGIC}1\n{:016x}\n{document}\n", checksum(document));
        assert_eq!(error(&whole("{}")), "its field domains is not one of an audit");
        assert!(error(&whole("{")).starts_with("its third line is not a JSON document: "));
    }

    #[test]
    fn largest_record_fits() {
        let namespace = "n".repeat(63).parse().unwrap();
        let address: IpAddr = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        let pair = AuditedQuery { namespace, address, client: Some(address) };
        let entry = AuditEntry {
            pair,
            finding: AuditFinding::NoSuchNamespace,
            count: u64::MAX,
            error: u64::MAX,
            first: u64::MAX,
            last: u64::MAX,
        };
        let record = AuditRecord { entries: vec![entry; PAIRS], ..AuditRecord::default() };
        assert!((record.encode(&domains()).len() as u64) < MAX_FILE / 2);
    }
}
