//! Cost of a query in a whole server: poddnsd, a null responder with the same sockets, and the authoritative servers
//! that are installed on this machine.
//!
//! ```text
//! apt-get install dnsperf knot nsd unbound
//! cargo build --profile dist --workspace --bin poddnsd --example null_responder --features poddns-net/floor
//! cargo run --profile dist -p poddns-benches --bin end_to_end -- --csv docs/end-to-end.csv --svg docs/end-to-end.svg
//! ```
//!
//! All servers are started at once, each on one thread and all on one processor, and are measured in turn, so that a
//! slowdown of the machine affects them alike. Of ten queries, nine are for an existing pod and one is for a pod that
//! does not exist. CPU is the server's user and system time, as counted by the kernel, divided by the number of
//! answered queries.
//!
//! The cost of a query depends on how many queries wait when the server reads its socket. So it is measured at
//! saturation: the client runs on the server's processor, and the server always finds a full queue. On its own
//! processor, the client is slower than most servers, which wait for the rest of the time: this measures rates,
//! latencies and losses.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use poddns_benches::end_to_end::dnsperf::{self, Answers, Load};
use poddns_benches::end_to_end::names::{MOST_PODS, write_queries};
use poddns_benches::end_to_end::peers::{ServerKind, ServerSetup};
use poddns_benches::end_to_end::process::ServerProcess;
use poddns_benches::end_to_end::report::{EndToEndFigures, Runs, table, write_csv};
use poddns_benches::end_to_end::{EndToEndError, median, plot};

/// Measures the cost of a query in poddnsd and other servers, over loopback.
#[derive(Debug, Parser)]
struct EndToEndArguments {
    /// Number of rounds; figures are medians over rounds.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Duration of each run of the client, in seconds.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Number of pods that all servers serve.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PODS)))]
    pods: u32,
    /// Number of pods that poddnsd serves in a second process.
    #[arg(long, default_value_t = MOST_PODS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PODS)))]
    many_pods: u32,
    /// The processor of the servers.
    #[arg(long, default_value_t = 1)]
    server_processor: usize,
    /// The processor of the client, unless it shares the servers' processor.
    #[arg(long, default_value_t = 0)]
    client_processor: usize,
    /// Write the medians to this file.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Draw the medians into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Instead of measuring, apply half load to poddnsd for this many seconds, and fail if memory or open files grow.
    #[arg(long)]
    soak: Option<u64>,
}

/// A server, its queries and its figures.
struct MeasuredServer {
    server: ServerProcess,
    kind: ServerKind,
    queries: PathBuf,
    figures: EndToEndFigures,
}

struct Bench<'a> {
    arguments: &'a EndToEndArguments,
    folder: &'a Path,
}

fn main() -> ExitCode {
    match run(&EndToEndArguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("end_to_end: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &EndToEndArguments) -> Result<(), EndToEndError> {
    let folder = tempfile::tempdir()?;
    let bench = Bench { arguments, folder: folder.path() };
    if let Some(seconds) = arguments.soak {
        return bench.soak(Duration::from_secs(seconds));
    }
    let mut servers = bench.servers()?;
    let half = bench.measure(&mut servers)?;
    let all: Vec<EndToEndFigures> = servers.into_iter().map(|server| server.figures).collect();
    print!("{}", table(&all, half));
    if let Some(path) = &arguments.csv {
        write_csv(path, &all)?;
    }
    if let Some(path) = &arguments.svg {
        plot::draw(path, &all)?;
    }
    Ok(())
}

impl Bench<'_> {
    /// Starts all servers that are installed on this machine.
    fn servers(&self) -> Result<Vec<MeasuredServer>, EndToEndError> {
        let mut servers = Vec::new();
        for kind in ServerKind::ALL {
            match self.server(kind, self.arguments.pods)? {
                Some(server) => servers.push(server),
                None => eprintln!("{}: not on this machine, left out", kind.name()),
            }
            if kind == ServerKind::Verified {
                servers.extend(self.server(kind, self.arguments.many_pods)?);
            }
        }
        Ok(servers)
    }

    fn server(&self, kind: ServerKind, pods: u32) -> Result<Option<MeasuredServer>, EndToEndError> {
        let setting = ServerSetup {
            processor: self.arguments.server_processor,
            folder: self.folder.to_owned(),
            pods,
            programs: programs()?,
        };
        let Some(server) = kind.start(&setting)? else { return Ok(None) };
        let queries = self.folder.join(format!("queries-{pods}"));
        if !queries.exists() {
            write_queries(&queries, pods, pods.max(100_000))?;
        }
        let name = if kind == ServerKind::Verified {
            format!("{}, {pods} pods", kind.name())
        } else {
            kind.name().into()
        };
        let figures = EndToEndFigures { name, ..EndToEndFigures::default() };
        Ok(Some(MeasuredServer { server, kind, queries, figures }))
    }

    /// Makes all rounds; returns the rate of half load, in queries per second.
    fn measure(&self, servers: &mut [MeasuredServer]) -> Result<u32, EndToEndError> {
        let client = self.arguments.client_processor;
        for round in 1..=self.arguments.rounds {
            eprintln!("full load, round {round} of {}", self.arguments.rounds);
            for server in &mut *servers {
                for edns in [false, true] {
                    let processor = self.arguments.server_processor;
                    let (cpu, answers) = self.ask(server, processor, Load { edns, ..self.load() })?;
                    server.figures.full[usize::from(edns)].add(cpu, &answers);
                }
                let (cpu, answers) = self.ask(server, client, self.load())?;
                server.figures.apart.add(cpu, &answers);
            }
        }
        let half = whole(half_load(servers));
        for round in 1..=self.arguments.rounds {
            eprintln!("half and 80 % load, round {round} of {}", self.arguments.rounds);
            for server in &mut *servers {
                let load = Load { rate: Some(half), latencies: true, ..self.load() };
                let (cpu, answers) = self.ask(server, client, load)?;
                server.figures.half.add(cpu, &answers);
                let most = whole(server.figures.rate() * 0.8);
                let (cpu, answers) = self.ask(server, client, Load { rate: Some(most), ..self.load() })?;
                server.figures.most.add(cpu, &answers);
            }
        }
        Ok(half)
    }

    fn load(&self) -> Load {
        let time = Duration::from_secs(self.arguments.seconds);
        Load { time, edns: false, rate: None, latencies: false }
    }

    /// Makes one run; returns the server's CPU time in seconds, and the responses.
    fn ask(
        &self,
        server: &MeasuredServer,
        client: usize,
        load: Load,
    ) -> Result<(f64, Answers), EndToEndError> {
        let before = server.server.usage()?;
        let address = server.server.address;
        let answers = dnsperf::run(client, address, &server.queries, load, self.folder)?;
        let after = server.server.usage()?;
        check(server, &answers)?;
        Ok((after.cpu - before.cpu, answers))
    }

    /// Applies half load for `time`; fails if memory or open files grow.
    fn soak(&self, time: Duration) -> Result<(), EndToEndError> {
        let server =
            self.server(ServerKind::Verified, self.arguments.pods)?.ok_or("poddnsd is always there")?;
        let client = self.arguments.client_processor;
        let (_, answers) = self.ask(&server, client, self.load())?;
        let load = Load { rate: Some(whole(answers.rate / 2.0)), edns: true, ..self.load() };
        let (begin, first) = (Instant::now(), server.server.usage()?);
        let (mut last, mut runs) = (first, Runs::default());
        while begin.elapsed() < time {
            let before = last.cpu;
            let (_, answers) = self.ask(&server, client, load)?;
            last = server.server.usage()?;
            runs.add(last.cpu - before, &answers);
        }
        println!(
            "{} s, {} queries, {} lost, {:.2} us each; memory {} KiB, then {} KiB; open files {}, then {}",
            begin.elapsed().as_secs(),
            runs.sent,
            runs.lost,
            median(&runs.cpu),
            first.resident / 1024,
            last.resident / 1024,
            first.files,
            last.files
        );
        if last.resident > first.resident + 256 * 1024 || last.files > first.files {
            return Err("memory or open files grew".into());
        }
        Ok(())
    }
}

/// Returns half the rate of Knot, or of poddnsd if Knot is not installed: the same rate for all servers makes their
/// latencies comparable.
fn half_load(servers: &[MeasuredServer]) -> f64 {
    let of = |kind| servers.iter().find(|server| server.kind == kind).map(|server| server.figures.rate());
    of(ServerKind::Knot).or_else(|| of(ServerKind::Verified)).unwrap_or_default() / 2.0
}

/// Fails if the server's responses are not the expected ones, because then its figures are not comparable.
fn check(server: &MeasuredServer, answers: &Answers) -> Result<(), EndToEndError> {
    let misses = match server.kind {
        // The null responder has one response to everything; mode insecure answers every address.
        ServerKind::Null | ServerKind::Insecure => 0,
        _ => answers.completed / 10,
    };
    if answers.completed == 0 || answers.nxdomain.abs_diff(misses) > answers.completed / 100 + 1 {
        let (name, nxdomain, completed) = (&server.figures.name, answers.nxdomain, answers.completed);
        return Err(format!("{name}: {nxdomain} of {completed} answers are NXDOMAIN, not {misses}").into());
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate below a few million")]
fn whole(rate: f64) -> u32 {
    rate as u32
}

/// Returns the folder in which cargo puts the programs of the profile of this program.
fn programs() -> Result<PathBuf, EndToEndError> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or("this program is in no folder")?;
    for needed in ["poddnsd", "examples/null_responder"] {
        if !folder.join(needed).is_file() {
            let build = "cargo build --profile dist --workspace --bin poddnsd --example null_responder --features poddns-net/floor";
            return Err(format!("no {needed} in {}; first: {build}", folder.display()).into());
        }
    }
    Ok(folder.to_owned())
}
