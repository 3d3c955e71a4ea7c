//! Cost of a query in a whole server: poddnsd beside a null responder with the same sockets, and beside the
//! authoritative servers that this machine has.
//!
//! ```text
//! apt-get install dnsperf knot nsd unbound
//! cargo build --profile dist --workspace --bin poddnsd --example null_responder --features poddns-net/floor
//! cargo run --profile dist -p poddns-benches --bin end_to_end -- --csv docs/end-to-end.csv --svg docs/end-to-end.svg
//! ```
//!
//! All servers are started at once, each on one thread and all on one processor, and are asked in turn, so that a
//! machine that becomes slower meanwhile does so for all. The client asks nine times for a pod that exists, then once
//! for one that does not. CPU is the server's time in user and kernel mode, as the kernel counts it, over answered
//! queries.
//!
//! What a query costs depends on how many wait when the server looks. So it is measured saturated: with the client
//! on the server's processor, which then always finds a full queue. With a processor of its own the client is slower
//! than most servers are, and each spends its spare time on waiting: that gives the rates, latencies and losses.
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

/// Measures what a query costs poddnsd and other servers, over loopback.
#[derive(Debug, Parser)]
struct EndToEndArguments {
    /// Rounds; figures are medians of these.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each run of the client.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Pods that all servers serve.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PODS)))]
    pods: u32,
    /// Pods that poddnsd serves in a second process.
    #[arg(long, default_value_t = MOST_PODS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PODS)))]
    many_pods: u32,
    /// The processor of the servers.
    #[arg(long, default_value_t = 1)]
    server_processor: usize,
    /// The processor of the client, when it has one of its own.
    #[arg(long, default_value_t = 0)]
    client_processor: usize,
    /// Write the medians to this file.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Draw the medians into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Instead of measuring, ask poddnsd for so many seconds at half its load and see that nothing grows.
    #[arg(long)]
    soak: Option<u64>,
}

/// A server and what it is asked.
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
    /// All servers that this machine has, running.
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

    /// All rounds; returns the rate that was half load.
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

    /// One run; the server's seconds on the processor and the answers.
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

    /// Half load for a long time: fails if memory or open files grow.
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
            return Err("it grows".into());
        }
        Ok(())
    }
}

/// Half of what Knot answers, or poddnsd where Knot is not: one rate for all, so that their latencies compare.
fn half_load(servers: &[MeasuredServer]) -> f64 {
    let of = |kind| servers.iter().find(|server| server.kind == kind).map(|server| server.figures.rate());
    of(ServerKind::Knot).or_else(|| of(ServerKind::Verified)).unwrap_or_default() / 2.0
}

/// A server that answers something else does another job.
fn check(server: &MeasuredServer, answers: &Answers) -> Result<(), EndToEndError> {
    let misses = match server.kind {
        // It has one answer to everything; insecure has one to every address.
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

/// Returns the folder in which cargo puts the programs of this one's profile.
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
