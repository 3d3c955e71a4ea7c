//! `poddns audit`: names that would break if mode insecure became verified.

mod findings;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use thiserror::Error;

use self::findings::{AuditFindings, AuditOccurrences, AuditedName};
use crate::admin::Admin;
use crate::duration::{DAY, duration};
use crate::outcome::{CommandError, print};
use crate::query::ServerArg;

/// Version of the format of `--json`.
const VERSION: u32 = 1;

/// Exit status if something would break.
const BREAKS: u8 = 3;

/// Exit status if the audit has not been observing for long enough.
const TOO_SHORT: u8 = 4;

/// Maximum of `--at-least`, in seconds.
const MAX_SECONDS: u64 = 366 * DAY;

/// The command line of `poddns audit`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  poddns audit                                     a week must have been observed
  poddns audit --at-least 12h
  poddns audit --server 10.42.0.9 --server 10.42.1.7 --json | jq .pairs

Name every replica with --server: each answers queries of its own.

Exit status: 0 if nothing would break, 3 if something would, 4 if nothing was found but not for long enough, 1 if a
server cannot be reached or makes no audit, 64 for bad usage.")]
pub(crate) struct AuditArgs {
    /// The admin endpoints of a server; repeat it for each replica
    #[arg(long, short, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:8053")]
    server: Vec<ServerArg>,
    /// Time that must have been observed, such as 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    at_least: u64,
    /// Print a JSON object, on a line
    #[arg(long)]
    json: bool,
}

/// Reason why a text is not a time.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("not a time of at most 366d; give a whole number and s, m, h or d, such as 12h or 7d")]
struct SpanError;

/// Parses a time, and returns it in seconds.
fn span(text: &str) -> Result<u64, SpanError> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", DAY)];
    let (number, unit) =
        units.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit))).ok_or(SpanError)?;
    let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits).ok_or(SpanError)?;
    number.checked_mul(*unit).filter(|&seconds| seconds <= MAX_SECONDS).ok_or(SpanError)
}

/// Conclusion from the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuditVerdict {
    Clear,
    Breaks,
    TooShort,
}

impl AuditVerdict {
    fn of(findings: &AuditFindings, at_least: u64) -> Self {
        if findings.breaks() {
            Self::Breaks
        // Without any query nothing was observed, however long the time.
        } else if findings.observed < at_least || findings.queries == findings.not_ready {
            Self::TooShort
        } else {
            Self::Clear
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Breaks => "breaks",
            Self::TooShort => "too-short",
        }
    }

    fn exit_code(self) -> ExitCode {
        match self {
            Self::Clear => ExitCode::SUCCESS,
            Self::Breaks => BREAKS.into(),
            Self::TooShort => TOO_SHORT.into(),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &AuditArgs) -> Result<ExitCode, CommandError> {
    let mut all: Option<AuditFindings> = None;
    for server in &args.server {
        let findings = AuditFindings::read(&Admin::new(server)?.document("/audit")?)?;
        all = Some(match all {
            Some(before) => before.join(findings),
            None => findings,
        });
    }
    let findings = all.unwrap_or_default();
    let verdict = AuditVerdict::of(&findings, args.at_least);
    let shown = if args.json {
        format!("{}\n", document(&findings, verdict, args.at_least))
    } else {
        report(&findings, verdict, args.at_least)
    };
    print(&shown)?;
    Ok(verdict.exit_code())
}

fn document(findings: &AuditFindings, verdict: AuditVerdict, at_least: u64) -> Value {
    json!({
        "version": VERSION,
        "verdict": verdict.name(),
        "observed_seconds": findings.observed,
        "at_least_seconds": at_least,
        "queries": findings.queries,
        "queries_without_client": findings.without_client,
        "not_ready": findings.not_ready,
        "refused": findings.refused,
        "names": findings.names(),
        "clients": findings.clients(),
        "more": findings.more,
        "pairs": findings.ranked().iter().map(|(pair, finding)| finding.json(pair)).collect::<Vec<_>>(),
        "file_errors": findings.file_errors,
    })
}

/// Returns the verdict, its limits, and the list of findings.
fn report(findings: &AuditFindings, verdict: AuditVerdict, at_least: u64) -> String {
    let mut text = format!(
        "in {}: {}, {}\n",
        duration(findings.observed),
        counted(findings.queries, "query", "queries"),
        outcome(findings)
    );
    let mut line = |written: String| text.push_str(&(written + "\n"));
    if findings.queries == 0 {
        line("no query for an address has arrived: does CoreDNS forward the zone to this server?".to_owned());
    }
    if findings.observed < at_least {
        line(format!("observed for less than {}: look again later", duration(at_least)));
    } else if verdict == AuditVerdict::TooShort {
        line("nothing was observed that could be judged: look again later".to_owned());
    }
    if findings.not_ready > 0 {
        let counted = counted(findings.not_ready, "query", "queries");
        line(format!("{counted} could not be judged, since the pods were not known yet"));
    }
    if findings.without_client > 0 {
        let counted = counted(findings.without_client, "query", "queries");
        line(format!(
            "{counted} had no client of their own: the forwarder does not name it (EDNS Client Subnet)"
        ));
    }
    for error in &findings.file_errors {
        line(format!("not kept over a restart: {error}"));
    }
    for (pair, finding) in findings.ranked() {
        text.push_str(&entry(pair, finding, findings.now));
    }
    text
}

fn outcome(findings: &AuditFindings) -> String {
    if !findings.breaks() {
        return "nothing would break".to_owned();
    }
    let at_least = if findings.more { "at least " } else { "" };
    let names = counted(findings.names() as u64, "name", "names");
    let clients = match findings.clients() {
        0 => "unknown clients".to_owned(),
        clients => counted(clients as u64, "client", "clients"),
    };
    format!("{at_least}{names} from {clients} would break")
}

fn entry(pair: &AuditedName, finding: &AuditOccurrences, now: u64) -> String {
    let client = if pair.client.is_empty() { "an unknown client" } else { &pair.client };
    let mut text = format!(
        "\n{} from {client}: {}, last {} ago, first {} ago\n",
        pair.name,
        counted(finding.count, "time", "times"),
        duration(now.saturating_sub(finding.last)),
        duration(now.saturating_sub(finding.first)),
    );
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {}: {}", finding.reason, finding.advice(&pair.name));
    text
}

/// Returns a number with its noun: `1,204,311 queries`.
fn counted(number: u64, one: &str, several: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::findings::document as found;
    use super::*;

    const WEEK: u64 = 7 * DAY;

    fn verdict(findings: &AuditFindings) -> AuditVerdict {
        AuditVerdict::of(findings, WEEK)
    }

    #[test]
    fn verdict_is_a_sentence() {
        let pairs = [
            ("web", Some("10.42.0.9"), "no-such-pod", 7),
            ("shop", Some("10.42.0.9"), "other-namespace", 2),
            ("x", Some("10.42.0.8"), "no-such-namespace", 1),
        ];
        let findings = AuditFindings::read(&found(WEEK + 4 * 3600 + 61, &pairs)).unwrap();
        let text = report(&findings, verdict(&findings), WEEK);
        let first = "in 7 d 4 h: 1,204,311 queries, 3 names from 2 clients would break\n\n";
        assert!(text.starts_with(first), "{text}");
        let entry = "10-42-2-46.web.pod.cluster.local from 10.42.0.9: 7 times, last 15 min 33 s ago, first 15 min 50 s ago\n  \
                     no-such-pod: no pod had 10.42.2.46";
        assert!(text.contains(entry), "{text}");
        assert_eq!(verdict(&findings), AuditVerdict::Breaks);
    }

    #[test]
    fn clear_needs_time_and_queries() {
        let mut findings = AuditFindings::read(&found(WEEK, &[])).unwrap();
        assert_eq!(verdict(&findings), AuditVerdict::Clear);
        assert_eq!(
            report(&findings, AuditVerdict::Clear, WEEK),
            "in 7 d: 1,204,311 queries, nothing would break\n"
        );
        findings.observed -= 1;
        assert_eq!(verdict(&findings), AuditVerdict::TooShort);
        assert!(
            report(&findings, AuditVerdict::TooShort, WEEK)
                .contains("observed for less than 7 d: look again later\n")
        );
        findings.observed = WEEK;
        findings.queries = 0;
        assert_eq!(verdict(&findings), AuditVerdict::TooShort);
        assert!(report(&findings, AuditVerdict::TooShort, WEEK).contains("does CoreDNS forward the zone"));
        (findings.queries, findings.not_ready) = (5, 5);
        assert_eq!(verdict(&findings), AuditVerdict::TooShort);
        assert!(report(&findings, AuditVerdict::TooShort, WEEK).contains("5 queries could not be judged"));
    }

    #[test]
    fn verdict_states_its_limits() {
        let mut findings = AuditFindings::read(&found(WEEK, &[("web", None, "no-such-pod", 7)])).unwrap();
        (findings.without_client, findings.more) = (1, true);
        findings.file_errors.push("disk full".to_owned());
        let text = report(&findings, AuditVerdict::Breaks, WEEK);
        for part in ["at least 1 name from unknown clients would break", "1 query had no client", "disk full"]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn times_are_whole_numbers_with_a_unit() {
        assert_eq!(span("7d"), Ok(WEEK));
        assert_eq!((span("90s"), span("2h"), span("0d")), (Ok(90), Ok(7200), Ok(0)));
        for wrong in ["", "7", "d", "-1d", "+1d", "1.5h", "367d", "99999999999999999999d", "7w"] {
            assert_eq!(span(wrong), Err(SpanError), "{wrong}");
        }
    }
}
