//! The client: dnsperf, from the Debian package of the same name.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::EndToEndError;
use super::process::{find, pinned};

/// Parameters of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Duration of the run.
    pub time: Duration,
    /// True if every query has an OPT record.
    pub edns: bool,
    /// Queries per second; `None` for as many as the server answers.
    pub rate: Option<u32>,
    /// True if the latency of every response is recorded, which slows down the client.
    pub latencies: bool,
}

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Number of queries with a response.
    pub completed: u64,
    /// Number of queries without a response in time.
    pub lost: u64,
    /// Number of responses with rcode NXDOMAIN.
    pub nxdomain: u64,
    /// Responses per second.
    pub rate: f64,
    /// Seconds from query to response, sorted; empty unless recorded.
    pub latencies: Vec<f64>,
}

/// Sends queries to a server. `queries` is a file in the format of dnsperf; the client runs on `processor` only.
pub fn run(
    processor: usize,
    address: SocketAddr,
    queries: &Path,
    load: Load,
    folder: &Path,
) -> Result<Answers, EndToEndError> {
    let dnsperf = find("dnsperf").ok_or("no dnsperf; it is in Debian's package of that name")?;
    let mut command = pinned(processor, &dnsperf);
    command.args(["-s", &address.ip().to_string(), "-p", &address.port().to_string()]);
    // Ten sockets, like ten clients; 200 outstanding queries fill a batch, but no socket buffer.
    command.args(["-c", "10", "-q", "200", "-t", "2", "-l", &load.time.as_secs().to_string()]);
    command.arg("-d").arg(queries);
    if load.edns {
        command.arg("-e");
    }
    if let Some(rate) = load.rate {
        command.args(["-Q", &rate.to_string()]);
    }
    if load.latencies {
        command.arg("-v");
    }
    // To a file, because a reader on the same processor would slow down the client.
    let output = folder.join("dnsperf.out");
    let status = command.stdout(fs::File::create(&output)?).status()?;
    let text = fs::read_to_string(output)?;
    if !status.success() {
        return Err(format!("dnsperf ended with {status}:\n{text}").into());
    }
    parse(&text).ok_or_else(|| format!("unexpected output of dnsperf:\n{text}").into())
}

fn parse(text: &str) -> Option<Answers> {
    let mut answers = Answers::default();
    let mut seen = 0;
    for line in text.lines() {
        if let Some(answer) = line.strip_prefix("> ") {
            answers.latencies.extend(answer.rsplit_once(' ').and_then(|(_, time)| time.parse::<f64>().ok()));
            continue;
        }
        let Some((what, value)) = line.trim().split_once(':') else { continue };
        let first = value.split_ascii_whitespace().next().unwrap_or_default();
        match what {
            "Queries completed" => answers.completed = first.parse().ok()?,
            "Queries lost" => answers.lost = first.parse().ok()?,
            "Queries per second" => answers.rate = first.parse().ok()?,
            "Response codes" => answers.nxdomain = count_of("NXDOMAIN", value),
            _ => continue,
        }
        seen += 1;
    }
    answers.latencies.sort_by(f64::total_cmp);
    (seen == 4).then_some(answers)
}

/// Returns the count of one rcode in `NOERROR 3 (50.00%), NXDOMAIN 3 (50.00%)`.
fn count_of(rcode: &str, text: &str) -> u64 {
    let mut words = text.split_ascii_whitespace();
    words.find(|word| *word == rcode).and_then(|_| words.next()?.parse().ok()).unwrap_or_default()
}

impl Answers {
    /// Returns the time within which this share of the responses arrived, in seconds; `None` without latencies.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few million"
    )]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies.get((last as f64 * share).round() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output of version 2.10.0.
    const OUTPUT: &str = "\
DNS Performance Testing Tool
Version 2.10.0

[Status] Stopping after 3 runs through file
> NOERROR 10-1-1-1.team.pod.cluster.local A 0.003826
> NXDOMAIN 11-1-1-1.team.pod.cluster.local A 0.000158
> NOERROR 10-1-1-1.team.pod.cluster.local A 0.000108
[Status] Testing complete (end of file)

Statistics:

  Queries sent:         4
  Queries completed:    3 (75.00%)
  Queries lost:         1 (25.00%)

  Response codes:       NOERROR 2 (66.67%), NXDOMAIN 1 (33.33%)
  Average packet size:  request 49, response 84
  Run time (s):         0.011897
  Queries per second:   504.328822

  Average Latency (s):  0.001359 (min 0.000030, max 0.004002)
  Latency StdDev (s):   0.001980
";

    #[test]
    fn reads_what_dnsperf_prints() {
        let answers = parse(OUTPUT).expect("readable");
        let latencies = vec![0.000_108, 0.000_158, 0.003_826];
        assert_eq!(answers, Answers { completed: 3, lost: 1, nxdomain: 1, rate: 504.328_822, latencies });
        assert_eq!(answers.quantile(0.5), Some(0.000_158));
        assert_eq!(answers.quantile(0.99), Some(0.003_826));
    }

    #[test]
    fn refuses_what_is_not_all_there() {
        assert_eq!(parse(OUTPUT.split("Response").next().unwrap_or_default()), None);
        assert_eq!(parse(""), None);
    }
}
