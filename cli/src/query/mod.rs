//! `poddns query`: one question, and the answer as dig prints it.

mod args;
mod edns;
mod exchange;
mod print;
mod text;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use clap::Args;
use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use poddns_core::podip;
use thiserror::Error;

use self::args::{CookieArg, OptionArg, Server};
use self::exchange::{ExchangeError, Patience, Question, Response, Transport, ask};
use crate::outcome::{Failure, note};

pub(crate) use self::text::{NameTextError, parse_name, show_text};

const EXAMPLES: &str = "Examples:
  poddns query 10-42-2-46.default.pod.cluster.local
  poddns query fd00-10-244--7.web.pod.cluster.local --short
  poddns query pod.cluster.local SOA --server 10.96.0.10
  poddns query pod.cluster.local TYPE65 --server [::1]:1053 --tcp

Exit status: 0 for any answer, whatever its status; 1 if there was none; 64 for bad usage.";

/// The option codes that have a flag of their own.
const NSID: u16 = 3;
const COOKIE: u16 = 10;

/// The command line of `poddns query`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct QueryArgs {
    /// The name, always taken as absolute; \DDD and \X escapes as in master files
    #[arg(value_parser = parse_name)]
    name: Name,
    /// A mnemonic such as AAAA, or TYPE123 [default: A, or AAAA for a dashed IPv6 address]
    #[arg(value_name = "TYPE", value_parser = args::record_type)]
    record_type: Option<RecordType>,
    /// Whom to ask: an address or a host name; port 53 unless one is given
    #[arg(long, short, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:1053")]
    server: Server,
    /// Ask over TCP from the start
    #[arg(long)]
    tcp: bool,
    /// Print the answers' data only, one a line
    #[arg(long)]
    short: bool,
    /// Seconds to wait for an answer, for each try
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = args::seconds)]
    timeout: std::time::Duration,
    /// How often to ask before giving up
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// A mnemonic such as CH, or CLASS123
    #[arg(long, value_name = "CLASS", default_value = "IN", value_parser = args::class)]
    class: DNSClass,
    /// Leave RD unset
    #[arg(long)]
    norecurse: bool,
    /// Keep a truncated answer instead of asking again over TCP
    #[arg(long)]
    ignore_truncation: bool,
    /// The EDNS version to ask with
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    edns: u8,
    /// Ask without EDNS: no OPT record, so no extended errors in the answer
    #[arg(long, conflicts_with_all = ["edns", "bufsize", "cookie", "nsid", "option"])]
    no_edns: bool,
    /// The longest UDP answer to allow for, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 1232)]
    bufsize: u16,
    /// Send a DNS cookie: a random client cookie, or these octets
    #[arg(long, value_name = "HEX", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    cookie: Option<CookieArg>,
    /// Ask for the server's identifier (RFC 5001)
    #[arg(long)]
    nsid: bool,
    /// Send another EDNS option; may be repeated
    #[arg(long, value_name = "CODE[:HEX]")]
    option: Vec<OptionArg>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
enum QueryError {
    #[error("no address for server '{server}': {source}")]
    Resolve { server: String, source: io::Error },
    #[error("no address for server '{0}'")]
    NoAddress(String),
    #[error("the query cannot be sent: {0}")]
    Encode(#[from] ProtoError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// Runs the command: what to print.
pub(crate) fn run(args: &QueryArgs) -> Result<String, Failure> {
    let cookie = args.cookie.as_ref().map(|CookieArg(octets)| match octets.as_slice() {
        [] => random_octets().to_vec(),
        given => given.to_vec(),
    });
    let response = answer(args, cookie.as_deref()).map_err(|error| Failure::Run(error.to_string()))?;
    if !args.short {
        return Ok(print::long(&response, cookie.as_deref()));
    }
    if response.message.answers.is_empty() {
        note(&format!("no answer records: {}", print::status(&response.message)));
    }
    Ok(print::short(&response.message))
}

fn answer(args: &QueryArgs, cookie: Option<&[u8]>) -> Result<Response, QueryError> {
    let question = question(args, cookie)?;
    let patience = Patience { timeout: args.timeout, tries: args.tries };
    let first = if args.tcp { Transport::Tcp } else { Transport::Udp };
    let mut failed: Option<ExchangeError> = None;
    for server in addresses(&args.server)? {
        if let Some(error) = failed.take() {
            note(&format!("{error}; trying {server}"));
        }
        match ask(&question, server, first, patience) {
            Ok(response) if wants_tcp(&response, args) => {
                note(&format!("the answer from {server} is truncated; asking again over TCP"));
                return Ok(ask(&question, server, Transport::Tcp, patience)?);
            }
            Ok(response) => return Ok(response),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.map_or_else(|| QueryError::NoAddress(args.server.to_string()), QueryError::from))
}

fn wants_tcp(response: &Response, args: &QueryArgs) -> bool {
    response.transport == Transport::Udp && response.message.metadata.truncation && !args.ignore_truncation
}

fn addresses(server: &Server) -> Result<Vec<SocketAddr>, QueryError> {
    let found = (server.host.as_str(), server.port).to_socket_addrs();
    found.map(Iterator::collect).map_err(|source| QueryError::Resolve { server: server.to_string(), source })
}

fn question(args: &QueryArgs, cookie: Option<&[u8]>) -> Result<Question, ProtoError> {
    let record_type = args.record_type.unwrap_or_else(|| default_type(&args.name));
    let mut query = Query::query(args.name.clone(), record_type);
    query.set_query_class(args.class);
    // `query` draws a random ID.
    let mut message = Message::query();
    message.metadata.recursion_desired = !args.norecurse;
    message.add_query(query.clone());
    if !args.no_edns {
        message.set_edns(edns(args, cookie));
    }
    Ok(Question { id: message.metadata.id, query, octets: message.to_vec()? })
}

fn edns(args: &QueryArgs, cookie: Option<&[u8]>) -> Edns {
    let mut edns = Edns::new();
    edns.set_version(args.edns).set_max_payload(args.bufsize);
    let options = edns.options_mut();
    if let Some(cookie) = cookie {
        options.insert(EdnsOption::Unknown(COOKIE, cookie.to_vec()));
    }
    if args.nsid {
        options.insert(EdnsOption::Unknown(NSID, Vec::new()));
    }
    for OptionArg { code, data } in &args.option {
        options.insert(EdnsOption::Unknown(*code, data.clone()));
    }
    edns
}

/// The type that has the address in the name: a pod's address has a record of its own family only.
fn default_type(name: &Name) -> RecordType {
    match name.iter().next().and_then(podip::parse) {
        Some(IpAddr::V6(_)) => RecordType::AAAA,
        _ => RecordType::A,
    }
}

/// Eight octets that nobody can guess: the standard library seeds its hashers from the system's randomness.
fn random_octets() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_be_bytes()
}
