//! `poddns explain`: the reason for the answer to a name.

use std::fmt::Write as _;
use std::net::IpAddr;

use clap::error::Error as ClapError;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use hickory_proto::rr::{Name, RecordType};
use poddns_core::NoPods;
use poddns_core::wire::Rtype;
use poddns_net::config::{Sources, with_flags};
use poddns_net::{Needs, Settings, explain_json};
use poddns_watch::{Feed, Source};
use serde_json::Value;

use crate::admin::{self, Admin, text};
use crate::outcome::{CommandError, print};
use crate::query::{ServerArg, record_type};
use crate::runtime::runtime;
use crate::text::{parse_name, show_name, show_text};

const HELP: &str = "\
Asks a running poddnsd, whose index and settings decide. With --pods-file and poddnsd's other flags, PODDNS_* variables \
or config file it decides here, as poddnsd would from that file.

Examples:
  poddns explain 10-42-2-46.default.pod.cluster.local
  poddns explain 10-42-2-46.default.pod.cluster.local AAAA --server 10.42.0.9:8053
  poddns explain 10-42-2-46.default.pod.cluster.local --pods-file pods.json --pod-cidr 10.42.0.0/16

Exit status: 0 if there is an explanation, whatever the answer; 1 if the server cannot be reached; 64 for bad usage.";

/// The options that the daemon does not have.
const OWN: [&str; 5] = ["explained_name", "explained_type", "explained_server", "json", "client"];

/// The command line of `poddns explain`.
#[derive(Debug)]
pub(crate) struct ExplainArgs(ArgMatches);

impl FromArgMatches for ExplainArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Args for ExplainArgs {
    fn augment_args(command: Command) -> Command {
        let usual = |id: &str| matches!(id, "config" | "pods-file");
        let command = with_flags(command)
            .mut_args(|arg| if usual(arg.get_id().as_str()) { arg } else { arg.hide_short_help(true) });
        command
            .arg(
                Arg::new(OWN[0])
                    .value_name("NAME")
                    .required(true)
                    .allow_hyphen_values(true)
                    .value_parser(parse_name)
                    .help("The name, always taken as absolute"),
            )
            .arg(
                Arg::new(OWN[1])
                    .value_name("TYPE")
                    .value_parser(record_type)
                    .help("The type [default: A, or AAAA for a dashed IPv6 address]"),
            )
            .arg(
                Arg::new(OWN[2])
                    .long("server")
                    .short('s')
                    .value_name("ADDR[:PORT]")
                    .value_parser(value_parser!(ServerArg))
                    .help("The admin endpoints of the server [default: 127.0.0.1:8053]"),
            )
            .arg(
                Arg::new(OWN[3])
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("Print the explanation as JSON, on a line"),
            )
            .arg(
                Arg::new(OWN[4])
                    .long("client")
                    .value_name("IP")
                    .value_parser(value_parser!(IpAddr))
                    .help("With visibility: the answer to this client [default: one that sees everything]"),
            )
            .after_long_help(HELP)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Runs the command.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), CommandError> {
    let matches = &args.0;
    let Some(name) = matches.get_one::<Name>(OWN[0]) else {
        return Err(CommandError::usage("no name to explain"));
    };
    let rtype = matches.get_one::<RecordType>(OWN[1]).copied();
    let client = matches.get_one::<IpAddr>(OWN[4]).copied();
    let server = matches.get_one::<ServerArg>(OWN[2]);
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let local = matches.ids().map(clap::Id::as_str).find(|id| !OWN.contains(id) && given(id));
    let document = match (server, local) {
        (Some(_), Some(flag)) => {
            let message =
                format!("--server queries a running poddnsd, which has its own settings; remove --{flag}");
            return Err(CommandError::usage(message));
        }
        (None, Some(_)) => here(matches, name, rtype, client)?,
        (server, None) => there(&server.cloned().unwrap_or_else(ServerArg::local), name, rtype, client)?,
    };
    if matches.get_flag("json") {
        return print(&format!("{document}\n"));
    }
    print(&show(&document))
}

/// Returns the explanation of a running server.
fn there(
    server: &ServerArg,
    name: &Name,
    rtype: Option<RecordType>,
    client: Option<IpAddr>,
) -> Result<Value, CommandError> {
    let mut path = format!("/explain?name={}", admin::encode(&show_name(name)));
    if let Some(rtype) = rtype {
        let _ = write!(path, "&type={}", u16::from(rtype));
    }
    if let Some(client) = client {
        let _ = write!(path, "&client={}", admin::encode(&client.to_string()));
    }
    Admin::new(server)?.document(&path)
}

/// Returns the explanation by the daemon's settings, with a file of pods.
fn here(
    matches: &ArgMatches,
    name: &Name,
    rtype: Option<RecordType>,
    client: Option<IpAddr>,
) -> Result<Value, CommandError> {
    let sources = Sources::new(matches, |name| std::env::var_os(name));
    let settings = sources.and_then(|sources| sources.settings())?.server;
    let mut wire = Vec::new();
    for label in name {
        wire.push(u8::try_from(label.len()).unwrap_or_default());
        wire.extend(label);
    }
    wire.push(0);
    let rtype = rtype.map(|rtype| Rtype(u16::from(rtype)));
    let text = if settings.needs() == Needs::Nothing {
        explain_json(&settings, &NoPods, &wire, rtype, client)
    } else {
        let feed = open(&settings)?;
        explain_json(&settings, &*feed.index(), &wire, rtype, client)
    };
    let document = text.and_then(|text| serde_json::from_str(&text).ok());
    document.ok_or_else(|| CommandError::usage("not a name that the DNS can carry"))
}

/// Opens the file of pods in the settings.
fn open(settings: &Settings) -> Result<Feed, CommandError> {
    if matches!(settings.source, Source::Cluster(_)) {
        let message =
            "these settings need a cluster; give --pods-file FILE, or --server to query a running poddnsd";
        return Err(CommandError::usage(message));
    }
    Ok(runtime()?.block_on(Feed::open(settings.source.clone(), settings.scope()))?)
}

/// Returns the explanation as two lines: the answer, and the reason.
fn show(document: &Value) -> String {
    let field = |name| show_text(text(document, name));
    let mut answer = field("status");
    if answer == "NOERROR" && document.get("has_records") == Some(&Value::Bool(false)) {
        answer.push_str(" without records (NODATA)");
    }
    if let Some(error) = document.get("extended_error").filter(|error| !error.is_null()) {
        let code = error.get("code").and_then(Value::as_u64).unwrap_or_default();
        let _ = write!(answer, ", EDE {code} ({})", show_text(text(error, "name")));
    }
    format!("{} {}: {answer}\n{}\n", field("name"), field("type"), field("text"))
}
