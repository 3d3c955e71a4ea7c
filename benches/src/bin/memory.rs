//! Measures poddnsd and kube's store, which follow the same clusters. See docs/memory.md.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use clap::{Args, Parser};
use poddns_benches::memory::{
    MeasuredProgram, Objects, Plan, Programs, Results, Run, keep_store, measure, page, plot, table,
};
use poddns_test_support::api_server::{ApiServer, Encoding, MAX_PODS};

/// Measures the cost of following a cluster.
#[derive(Debug, Parser)]
enum MemoryCommand {
    /// Measure memory, start and changes of poddnsd and of kube's store, and print tables.
    ///
    /// poddnsd must be in the folder of this program.
    Measure(MemoryArguments),
    /// Write the contents of docs/memory.csv as tables into docs/memory.md, and as docs/memory.svg.
    Report,
    /// Keep a store of pods, for comparison.
    Reflector {
        /// Parts of a pod to keep.
        objects: Objects,
        /// Kubeconfig of the cluster.
        kubeconfig: PathBuf,
    },
}

#[derive(Debug, Args)]
struct MemoryArguments {
    /// Sizes of the cluster, in pods.
    #[arg(long, value_delimiter = ',', default_value = "0,10000,100000,1000000",
          value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_PODS)))]
    pods: Vec<u32>,

    /// Programs to measure.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = MeasuredProgram::ALL)]
    subjects: Vec<MeasuredProgram>,

    /// Maximum number of k8s-openapi's pods, which take tens of kilobytes each. Larger clusters are not measured with
    /// them.
    #[arg(long, default_value_t = 100_000)]
    most_full_pods: u32,

    /// Number of runs for each program and size.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Number of changes in a run, rounded up to a multiple of four, because there are four kinds.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..1 << 30))]
    changes: u32,

    /// Changes per second.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    /// Seconds without changes after which memory counts as steady.
    #[arg(long, default_value_t = 5.0)]
    settle: f64,

    /// Write all figures to this file, as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    match MemoryCommand::parse() {
        MemoryCommand::Measure(arguments) => measure_all(&arguments),
        MemoryCommand::Report => report(),
        MemoryCommand::Reflector { objects, kubeconfig } => match keep_store(objects, &kubeconfig)? {},
    }
}

fn measure_all(arguments: &MemoryArguments) -> Result<(), Box<dyn Error>> {
    let plan = Plan {
        changes: arguments.changes.next_multiple_of(4),
        rate: arguments.rate,
        settle: Duration::try_from_secs_f64(arguments.settle)?,
    };
    let programs = programs()?;
    let mut results = Results { context: context(plan, arguments.runs)?, runs: Vec::new() };
    for &subject in &arguments.subjects {
        for &pods in &arguments.pods {
            if subject == MeasuredProgram::ReflectorPods && pods > arguments.most_full_pods {
                eprintln!("left out: {}, {pods} pods", subject.title());
                continue;
            }
            for number in 1..=arguments.runs {
                let begin = Instant::now();
                let figures = measure(&programs, subject, pods, plan);
                eprintln!(
                    "{}, {pods} pods, run {number}: {figures:?}; {:.0?}",
                    subject.title(),
                    begin.elapsed()
                );
                results.runs.push(Run { subject, pods, number, figures });
            }
        }
    }
    if let Some(path) = &arguments.csv {
        fs::write(path, results.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    print!("{}", table(&results));
    Ok(())
}

fn programs() -> Result<Programs, Box<dyn Error>> {
    let reflector = env::current_exe()?;
    let poddnsd = reflector.with_file_name("poddnsd");
    if !poddnsd.is_file() {
        let path = poddnsd.display();
        return Err(format!("{path} is missing: build it with the same profile as this program").into());
    }
    Ok(Programs { poddnsd, reflector })
}

/// Returns the conditions on which the figures depend.
fn context(plan: Plan, runs: u32) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    let server = ApiServer::spawn();
    server.generate_pods(100);
    let pair = |key: &str, value: String| (key.to_owned(), value);
    Ok(vec![
        pair(
            "processor",
            format!("{cores} cores of {}", model.map_or("an unknown kind", |(_, model)| model)),
        ),
        pair("kernel", format!("Linux {}", kernel.trim())),
        pair(
            "bytes of a pod on the wire",
            format!(
                "{} in protobuf, {} in JSON",
                server.pod_size(Encoding::Protobuf),
                server.pod_size(Encoding::Json)
            ),
        ),
        pair("changes", format!("{}, at {} a second", plan.changes, plan.rate)),
        pair("runs of each", runs.to_string()),
        pair("rest", format!("{} s", plan.settle.as_secs_f64())),
    ])
}

fn report() -> Result<(), Box<dyn Error>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let [csv, markdown, svg] = ["memory.csv", "memory.md", "memory.svg"].map(|name| docs.join(name));
    let results: Results = fs::read_to_string(&csv)?.parse()?;
    let text = page(&fs::read_to_string(&markdown)?, &results).ok_or("docs/memory.md has no marks")?;
    fs::write(&markdown, text)?;
    fs::write(&svg, plot(&results))?;
    Ok(())
}
