//! `poddns corefile`: conversion of a cluster's Corefile for poddns beside `CoreDNS`.

mod block;
mod import;
mod lex;
mod parse;
mod platform;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use poddns_core::{IpCidr, ReverseZones, TooManyReverseZones};
use poddns_net::daemon::HIDDEN_BEHIND_CACHE;
use thiserror::Error;

use self::block::{CorednsVersion, ForwardPlan, existing, with_block};
use self::import::{Import, Severity, config, import, values};
use self::parse::{Corefile, CorefileError, parse};
use self::platform::{Platform, PlatformInput};
use crate::outcome::CommandError;
use crate::query::ReadError;
use crate::text::show_path;

/// The command line of `poddns corefile`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl -n kube-system get configmap coredns -o jsonpath='{.data.Corefile}' | poddns corefile
  poddns corefile --print config Corefile > poddnsd.toml
  poddns corefile --print values Corefile > values.yaml
  poddns corefile --upstream 10.43.0.53 --upstream 10.43.0.54 --print corefile Corefile
  poddns corefile --platform k3s --coredns-version 1.13.1 Corefile | kubectl apply -f -

A Corefile that forwards the zone of pods already is not changed.
Exit status: 1 if it has no kubernetes directive, 64 if it is no Corefile.")]
pub(crate) struct CorefileArgs {
    /// The Corefile; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = OutputPart::Report)]
    print: OutputPart,
    /// Print the object or patch of this platform
    #[arg(long, value_enum, conflicts_with = "print")]
    platform: Option<Platform>,
    /// Address of a Service of poddns; repeat it for a second one to fail over to
    #[arg(long, value_name = "IP", default_values = ["10.96.0.53", "10.96.0.54"])]
    upstream: Vec<IpAddr>,
    /// The version of CoreDNS that reads the result: an unknown directive stops it
    #[arg(long, value_name = "VERSION", default_value = "1.11.0")]
    coredns_version: CorednsVersion,
    /// Cache responses in CoreDNS for this long, which loses extended errors
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    cache: Option<u32>,
    /// Serve the reverse zones of this network of pods as well, in mode verified; repeatable
    #[arg(long, value_name = "CIDR")]
    reverse_zone: Vec<IpCidr>,
    /// Hide namespaces from clients that are not their pods, in mode verified: CoreDNS names its clients to poddns
    #[arg(long, conflicts_with = "cache")]
    visibility: bool,
    /// A variable of CoreDNS' environment, for {$NAME} in the Corefile
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

/// A part of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputPart {
    /// The meaning of each directive, the configuration and the server block
    Report,
    /// The configuration of poddnsd
    Config,
    /// Values of the Helm chart
    Values,
    /// The server block to add
    Block,
    /// The lines to add to the server block with 'kubernetes', for --reverse-zone
    Reverse,
    /// The Corefile with the server block
    Corefile,
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("not a variable; give NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reason why a Corefile cannot be converted.
#[derive(Debug, Error)]
enum ImportError {
    #[error(transparent)]
    Read(ReadError),
    #[error("{}: {source}", show_path(path))]
    Parse { path: PathBuf, source: CorefileError },
    #[error("--reverse-zone: {0}")]
    ReverseZones(#[source] TooManyReverseZones),
    #[error(
        "{}: no server block has a 'kubernetes' directive with a cluster domain; is this the Corefile of the cluster's \
         DNS?",
        show_path(.0)
    )]
    NoDirective(PathBuf),
}

impl From<ImportError> for CommandError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::NoDirective(_) => Self::run(error),
            ImportError::Read(_) | ImportError::Parse { .. } | ImportError::ReverseZones(_) => {
                Self::usage(error)
            }
        }
    }
}

/// Runs the command, and returns its output.
pub(crate) fn run(args: &CorefileArgs) -> Result<String, CommandError> {
    let path = || args.file.clone();
    let text = read(args).map_err(|source| ImportError::Read(ReadError { path: path(), source }))?;
    let variables: BTreeMap<String, String> = args.env.iter().cloned().collect();
    let corefile = parse(&text, &variables).map_err(|source| ImportError::Parse { path: path(), source })?;
    ReverseZones::new(&args.reverse_zone).map_err(ImportError::ReverseZones)?;
    let mut import = import(&corefile).ok_or_else(|| ImportError::NoDirective(path()))?;
    import.reverse_zones.clone_from(&args.reverse_zone);
    import.visibility = args.visibility;
    let (upstreams, version) = (args.upstream.clone(), args.coredns_version);
    let forward = ForwardPlan { upstreams, version, cache: args.cache };
    if let Some(platform) = args.platform {
        return Ok(platform.object(&PlatformInput {
            text: &text,
            corefile: &corefile,
            import: &import,
            forward: &forward,
        }));
    }
    Ok(match args.print {
        OutputPart::Report => report(&corefile, &import, &forward),
        OutputPart::Config => config(&import),
        OutputPart::Values => values(&import, &forward.upstreams),
        OutputPart::Block => forward.block(&import),
        OutputPart::Reverse => forward.reverse(&import),
        OutputPart::Corefile => with_block(&text, &corefile, &import, &forward),
    })
}

fn read(args: &CorefileArgs) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = lex::MAX_BYTES as u64 + 1;
    if args.file.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(&args.file)?.take(limit).read_to_end(&mut bytes)?;
    }
    if bytes.len() > lex::MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {} bytes", lex::MAX_BYTES)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn report(corefile: &Corefile, import: &Import, forward: &ForwardPlan) -> String {
    let mut text = String::from("Directives ('!' needs attention):\n");
    for finding in &import.findings {
        let mark = if finding.severity == Severity::Attention { '!' } else { ' ' };
        let directive: String = finding.directive.chars().map(printable).take(60).collect();
        let _ = writeln!(text, "{mark} line {}: {directive}\n      {}", finding.line, finding.meaning);
    }
    for (file, line) in &corefile.imports {
        let file: String = file.chars().map(printable).take(200).collect();
        let _ = writeln!(
            text,
            "! line {line}: import {file}\n      not read: check it for 'kubernetes' and for pod zones"
        );
    }
    for variable in &corefile.unset {
        let variable: String = variable.chars().map(printable).take(60).collect();
        let _ = writeln!(
            text,
            "! variable {variable}\n      taken as empty: give its value with --env {variable}=VALUE"
        );
    }
    let _ = write!(
        text,
        "\nConfiguration of poddnsd (--print config; --print values for the Helm chart):\n\n{}",
        config(import)
    );
    let version = forward.version;
    if let Some(block) = existing(corefile, import) {
        let line = block.line;
        let _ = writeln!(
            text,
            "\nThe server block on line {line} serves the zone of pods already: nothing to add."
        );
    } else {
        let block = forward.block(import);
        let _ = write!(text, "\nServer block for CoreDNS {version} or later (--print block):\n\n{block}");
        if let Some(gain) = forward.newer() {
            let _ = writeln!(text, "\n{gain}");
        }
    }
    asked_for(&mut text, import, forward);
    text
}

/// Reports on reverse zones and visibility, if they are requested.
fn asked_for(text: &mut String, import: &Import, forward: &ForwardPlan) {
    if !import.is_verified() && (import.visibility || !import.reverse_zones.is_empty()) {
        text.push_str("\n! Reverse zones and visibility need mode verified: set it, or leave them out\n");
    }
    if !import.reverse_zones.is_empty() {
        if !import.falls_through {
            text.push_str(
                "\n! 'kubernetes' does not pass reverse names on: add 'fallthrough in-addr.arpa ip6.arpa' to it\n",
            );
        }
        let place =
            if forward.has_many() { "Lines for the server block with 'kubernetes'" } else { "Server blocks" };
        let (version, lines) = (forward.version, forward.reverse(import));
        let _ = write!(text, "\n{place}, for CoreDNS {version} or later (--print reverse):\n\n{lines}");
    }
    if import.visibility {
        let _ = writeln!(text, "\n! {HIDDEN_BEHIND_CACHE}");
        text.push_str(
            "! set trust-ecs to the networks of CoreDNS, and prevent other clients in them from reaching poddnsd\n",
        );
    }
}

/// Replaces characters that could control a terminal.
fn printable(character: char) -> char {
    if character.is_control() { '\u{fffd}' } else { character }
}
