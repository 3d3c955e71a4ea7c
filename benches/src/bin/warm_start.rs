//! Time until poddnsd, restarted while the API server is down, answers from its snapshot.
//!
//! ```text
//! cargo build --locked --profile dist --workspace --bins --example null_responder --features poddns-net/floor
//! target/dist/warm_start
//! ```
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use poddns_benches::warm_start::{Start, measure};
use poddns_test_support::api_server::MAX_PODS;

/// Measures starts from a snapshot while the API server is down. poddnsd must be in the folder of this program.
#[derive(Debug, Parser)]
struct WarmStartArguments {
    /// Number of pods in the snapshot.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PODS)))]
    pods: u32,

    /// Number of starts.
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = WarmStartArguments::parse();
    let poddnsd = std::env::current_exe()?.with_file_name("poddnsd");
    if !poddnsd.is_file() {
        let path = poddnsd.display();
        return Err(format!("{path} is missing: build it with the same profile as this program").into());
    }
    let (starts, size) = measure(&poddnsd, arguments.pods, arguments.starts);
    println!("{} starts, {} pods, a snapshot of {size} bytes", starts.len(), arguments.pods);
    for (what, of) in [
        ("from start to first answer", (|start| start.wall) as fn(&Start) -> Duration),
        ("on the processor until then", |start| start.cpu),
    ] {
        let mut times: Vec<f64> = starts.iter().map(|start| of(start).as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        println!(
            "{what}: median {:.0} ms, least {:.0}, greatest {:.0}",
            at(times.len() / 2),
            at(0),
            at(times.len() - 1)
        );
    }
    Ok(())
}
