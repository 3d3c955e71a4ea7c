//! Cost of zone transfers: see docs/transfer.md.
//!
//! ```text
//! cargo build --locked --release --workspace --bins
//! target/release/transfer
//! ```
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use poddns_benches::transfer::{Axfr, measure_axfr, measure_axfr_of_knot, measure_changes, measure_delay};
use poddns_test_support::api_server::MAX_PODS;

/// Measures zone transfers. poddnsd must be in the folder of this program.
#[derive(Debug, Parser)]
struct TransferArguments {
    /// Numbers of pods for AXFR.
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PODS)))]
    pods: Vec<u32>,

    /// Number of transfers of each size.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Number of changes for the CPU time of a change.
    #[arg(long, default_value_t = 40_000)]
    changes: u32,

    /// Number of changes for the delay until Knot DNS answers.
    #[arg(long, default_value_t = 30)]
    delays: u32,
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Prints the transfers from a server.
fn show(server: &str, pods: u32, runs: &[Axfr]) {
    for run in runs {
        println!(
            "AXFR of {pods} from {server}: {:.0} ms, {:.0} ms of CPU, {} bytes in {} messages, {} KiB above {} KiB; query p99 \
             {:.2} ms before, {:.2} ms meanwhile",
            milliseconds(run.wall),
            milliseconds(run.cpu),
            run.bytes,
            run.messages,
            run.peak.saturating_sub(run.steady),
            run.steady,
            milliseconds(run.p99[0]),
            milliseconds(run.p99[1]),
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = TransferArguments::parse();
    let poddnsd = std::env::current_exe()?.with_file_name("poddnsd");
    if !poddnsd.is_file() {
        let path = poddnsd.display();
        return Err(format!("{path} is missing: build it with the same profile as this program").into());
    }
    for &pods in &arguments.pods {
        show("poddnsd", pods, &measure_axfr(&poddnsd, pods, arguments.runs));
        if let Some(runs) = measure_axfr_of_knot(&poddnsd, pods, arguments.runs) {
            show("knotd", pods, &runs);
        }
    }
    let [without, with] = measure_changes(&poddnsd, 10_000, arguments.changes, 2_000);
    println!(
        "CPU of a change: {:.1} us without transfers, {:.1} us with",
        milliseconds(without) * 1e3,
        milliseconds(with) * 1e3
    );
    match measure_delay(&poddnsd, 1_000, arguments.delays) {
        None => println!("no knotd: the time to an answer of a secondary is not measured"),
        Some(mut delays) => {
            delays.sort_unstable();
            let at = |index: usize| delays.get(index).copied().map(milliseconds).unwrap_or_default();
            println!(
                "from a change to the answer of Knot DNS: median {:.0} ms, greatest {:.0}",
                at(delays.len() / 2),
                at(delays.len().saturating_sub(1))
            );
        }
    }
    Ok(())
}
