//! `poddns compare`: sends the same queries to two servers and prints the differences.

mod names;
mod progress;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use poddns_core::Label;

use self::names::{Probe, ProbeSource};
use self::progress::ProgressBar;
use self::report::ComparisonReport;
use crate::names::DomainArg;
use crate::outcome::CommandError;
use crate::query::{DNS_PORT, Prober, ServerArg, seconds};

/// The command line of `poddns compare`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Sends the same queries to --server and --against and compares rcodes and answers; TTLs, order and extended errors do not count. \
Without --names or --pods-file the names are those of all pods of poddnsd's index.

A line of --names is NAME [TYPE...], a line of poddnsd's query log (JSON with \"name\" and \"type\"), or one of CoreDNS' `log`.

Examples:
  poddns compare --against 10.96.0.10
  poddns compare --against 10.96.0.10 --server 10.96.0.11:53 --admin 10.42.0.9:8053
  poddns compare --against 10.96.0.10 --pods-file pods.json --namespace web
  kubectl logs -n kube-system -l k8s-app=kube-dns --tail=-1 | poddns compare --against 10.96.0.10 --names -

Exit status: 0 if all answers are equal, 1 if some differ or are missing, 64 for bad usage.")]
pub(crate) struct CompareArgs {
    /// The server in use today, such as CoreDNS; port 53 unless one is given
    #[arg(long, value_name = "ADDR[:PORT]")]
    against: ServerArg,
    /// The server that will replace it
    #[arg(long, short, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:1053")]
    server: ServerArg,
    /// poddnsd's admin endpoints, which list the pods
    #[arg(long, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:8053")]
    admin: ServerArg,
    /// Take the pods from a file of `kubectl get pods -A -o json` or `-o yaml`
    #[arg(long, value_name = "FILE", conflicts_with = "names")]
    pods_file: Option<PathBuf>,
    /// Take names, or the lines of a query log, from a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["namespace", "domain"])]
    names: Option<PathBuf>,
    /// Pods of this namespace only
    #[arg(long, short, value_name = "NS", value_parser = |text: &str| text.parse::<Label>())]
    namespace: Option<Label>,
    /// The cluster domain
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    domain: DomainArg,
    /// Queries a second to each server, at most
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Time limit for an answer, for each of two tries
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = seconds)]
    timeout: Duration,
    /// Print one JSON object for each difference, and one for the summary, on a line each
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode, CommandError> {
    let prober = |server: &ServerArg| Prober::new(server, DNS_PORT, args.timeout);
    let (server, against) = (prober(&args.server)?, prober(&args.against)?);
    let names = ProbeSource {
        admin: &args.admin,
        pods_file: args.pods_file.as_deref(),
        file: args.names.as_deref(),
        namespace: args.namespace,
        domain: &args.domain.0,
    }
    .open()?;
    let mut report = ComparisonReport::new(args.json, ProgressBar::new(|| names.count()));
    let mut pace = Pace::new(args.rate);
    let compared = names.for_each(&mut |probe: &Probe| {
        pace.wait();
        let ask = |prober: &Prober| prober.ask(&probe.name, probe.record_type);
        let (one, other) = (ask(&server), ask(&against));
        report.add(probe, &one, &other)
    });
    match compared {
        // Only differences are printed before the summary, so the servers differ.
        Err(CommandError::ReaderGone) => Ok(ExitCode::FAILURE),
        compared => compared.and_then(|()| report.end()),
    }
}

/// Rate limit of queries.
struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { interval: Duration::from_secs(1) / rate, next: Instant::now() }
    }

    /// Waits until the next query is due. Time spent waiting for answers is not made up for.
    fn wait(&mut self) {
        let now = Instant::now();
        thread::sleep(self.next.saturating_duration_since(now));
        self.next = self.next.max(now) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_keeps_the_interval() {
        let mut pace = Pace::new(100_000);
        let begin = pace.next;
        for _ in 0..100 {
            pace.wait();
        }
        assert!(pace.next >= begin + Duration::from_millis(1), "at most 100 in a millisecond");
    }
}
