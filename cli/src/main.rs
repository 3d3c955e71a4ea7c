//! `poddns`, the operator's tool: queries a server, explains its answers, lists its pods, converts between addresses
//! and names, checks a configuration and the permissions that it needs in the cluster.
#![forbid(unsafe_code)]

mod admin;
mod audit;
mod check;
mod compare;
mod corefile;
mod duration;
mod explain;
mod man;
mod names;
mod outcome;
mod pods;
mod query;
mod runtime;
mod status;
mod text;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use poddns_net::daemon::report_usage;
use poddns_net::version;

use crate::outcome::{CommandError, note, print};

/// The operator's tool for poddns, the DNS server for Kubernetes pod records
#[derive(Parser)]
#[command(
    version = version::VERSION,
    long_version = version::details(),
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 failed, 64 bad usage or configuration.",
    after_long_help = "\
Examples:
  poddns query @127.0.0.1 -p 1053 10-42-2-46.default.pod.cluster.local
  poddns explain 10-42-2-46.default.pod.cluster.local
  poddns pods 10.42.2.46
  poddns status
  poddns audit --at-least 7d
  poddns compare --against 10.96.0.10
  poddns name 10.42.2.46 --namespace web
  poddns ip fd00-10-244--7.web.pod.cluster.local
  poddns check --config /etc/poddns/poddnsd.toml

Exit status: 0 done, 1 failed, 64 bad usage or configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: ToolCommand,
}

#[derive(Subcommand)]
enum ToolCommand {
    /// Send queries to a DNS server, and print the responses as dig does
    Query(query::QueryArgs),
    /// Explain the answer to a name
    Explain(explain::ExplainArgs),
    /// List the pods in the index of a running server, by address or namespace
    Pods(pods::PodsArgs),
    /// Compare the answers of two servers
    Compare(compare::CompareArgs),
    /// Report what would break with mode verified instead of insecure
    Audit(audit::AuditArgs),
    /// Print the state of a running server
    Status(status::StatusArgs),
    /// Print the name for the address of a pod
    Name(names::NameArgs),
    /// Print the address in the name of a pod
    Ip(names::IpArgs),
    /// Check the configuration of poddnsd, and its permissions in the cluster
    Check(check::CheckArgs),
    /// Convert a Corefile: its meaning for poddns, and the server block that forwards to it
    Corefile(corefile::CorefileArgs),
    /// Write the man pages, for packages
    #[command(hide = true)]
    Man(man::ManArgs),
    /// Print the completion script for a shell
    #[command(after_help = "Example:\n  poddns completions bash > /etc/bash_completion.d/poddns")]
    Completions {
        /// The shell
        shell: Shell,
        /// Complete poddnsd rather than poddns
        #[arg(long)]
        daemon: bool,
    },
}

fn main() -> ExitCode {
    // The image has one program under both names, which needs half the space of two.
    if called("poddnsd") {
        return poddns_net::daemon::run(std::env::args_os());
    }
    let result = match Cli::try_parse() {
        Ok(cli) => run(&cli.command),
        Err(error) => return report_usage(&error),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            if !matches!(error, CommandError::ReaderGone) {
                note(&error.to_string());
            }
            error.exit_code()
        }
    }
}

/// Returns whether this program was started under the given name.
fn called(name: &str) -> bool {
    std::env::args_os()
        .next()
        .is_some_and(|path| Path::new(&path).file_name().is_some_and(|file| file == name))
}

fn run(command: &ToolCommand) -> Result<ExitCode, CommandError> {
    match command {
        ToolCommand::Query(args) => return query::run(args),
        ToolCommand::Explain(args) => explain::run(args)?,
        ToolCommand::Pods(args) => return pods::run(args),
        ToolCommand::Compare(args) => return compare::run(args),
        ToolCommand::Audit(args) => return audit::run(args),
        ToolCommand::Status(args) => return status::run(args),
        ToolCommand::Name(args) => print(&names::name(args)?)?,
        ToolCommand::Ip(args) => return names::ip(args),
        ToolCommand::Check(args) => return check::run(args),
        ToolCommand::Corefile(args) => print(&corefile::run(args)?)?,
        ToolCommand::Man(args) => man::run(args, Cli::command())?,
        ToolCommand::Completions { shell, daemon } => print(&completions(*shell, *daemon))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: Shell, daemon: bool) -> String {
    let mut command = if daemon { poddns_net::daemon::command() } else { Cli::command() };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
