//! `poddns query`: sends queries, and prints the answers in dig's format.

mod args;
mod decode;
mod edns;
mod exchange;
mod json;
mod lines;
mod options;
mod plan;
mod print;
mod prober;
mod words;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::process::ExitCode;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use poddns_core::Transport;
use thiserror::Error;

use self::args::{CookieArg, OptionArg};
use self::decode::DecodeFault;
use self::exchange::{ExchangeError, PendingQuery, Response, ask};
use self::options::QueryOptions;
use self::plan::{DigPlan, DigQuestion, LineError, SubjectKind};
use crate::outcome::{CommandError, note, print_part, usage_code};

pub(crate) use self::args::{ArgError, ServerArg, record_type, seconds};
pub(crate) use self::lines::{Lines, ReadError};
pub(crate) use self::options::QueryArgs;
pub(crate) use self::plan::{LineMistake, default_type, questions_of_line};
pub(crate) use self::prober::{ProbeAnswer, Prober};

/// Option codes that have their own flag.
const NSID: u16 = 3;
const COOKIE: u16 = 10;

/// Default port of a server (RFC 1035 4.2).
pub(crate) const DNS_PORT: u16 = 53;

/// Port of the default server: poddnsd's default.
const DEFAULT_PORT: u16 = 1053;

/// Maximum number of faults of an answer that are printed individually.
const MAX_FAULTS: usize = 10;

/// Reason why there is no complete answer.
#[derive(Debug, Error)]
pub(crate) enum QueryError {
    #[error("the query cannot be sent: {0}")]
    Encode(#[from] ProtoError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// Records are missing from the answer.
    #[error("{server}: {fault}")]
    Loss {
        server: SocketAddr,
        #[source]
        fault: Box<DecodeFault>,
    },
}

/// Runs the command.
pub(crate) fn run(args: &QueryArgs) -> Result<ExitCode, CommandError> {
    let mut plan = DigPlan::default();
    args.words.iter().for_each(|word| plan.add(word));
    if plan.subjects.is_empty() {
        let hint = "no name to query; give one, as in `poddns query 10-42-2-46.default.pod.cluster.local`";
        return Err(CommandError::usage(hint));
    }
    let mut session = QuerySession::new(&args.options, &plan.servers)?;
    for subject in &plan.subjects {
        match &subject.kind {
            SubjectKind::Name(_) | SubjectKind::Reverse(_) => session.put(&plan.questions(subject))?,
            SubjectKind::File(path) => {
                for questions in plan.in_file(subject, path) {
                    match questions {
                        Ok(questions) => session.put(&questions)?,
                        Err(error) => session.fail(&error),
                    }
                }
            }
        }
    }
    Ok(session.failed.unwrap_or(ExitCode::SUCCESS))
}

/// A sequence of questions to the same servers.
struct QuerySession<'a> {
    options: &'a QueryOptions,
    /// Tried one after the other.
    servers: Vec<SocketAddr>,
    printed: bool,
    /// Exit status for the first question that failed.
    failed: Option<ExitCode>,
}

impl<'a> QuerySession<'a> {
    fn new(options: &'a QueryOptions, servers: &[ServerArg]) -> Result<Self, CommandError> {
        let local = ServerArg::local();
        let (server, port) = match servers {
            [] => (&local, DEFAULT_PORT),
            [server] => (server, DNS_PORT),
            [one, other, ..] => {
                return Err(CommandError::usage(format!("two servers, {one} and {other}; give one")));
            }
        };
        let mut servers = server.addresses(options.port.unwrap_or(port))?;
        servers.retain(|address| options.ipv4.is_none_or(|ipv4| address.is_ipv4() == ipv4));
        if servers.is_empty() {
            let family = if options.ipv4 == Some(true) { "IPv4" } else { "IPv6" };
            return Err(CommandError::run(format!("server '{server}' has no {family} address")));
        }
        Ok(Self { options, servers, printed: false, failed: None })
    }

    /// Sends the queries and prints the answers. Continues after a question that fails.
    fn put(&mut self, questions: &[DigQuestion]) -> Result<(), CommandError> {
        for asked in questions {
            let cookie = self.options.cookie.as_ref().map(|CookieArg(octets)| match octets.as_slice() {
                [] => random_octets().to_vec(),
                given => given.to_vec(),
            });
            match self.answer(asked, cookie.as_deref()) {
                Ok(response) => {
                    self.note_faults(&response);
                    self.show(asked, &response, cookie.as_deref())?;
                }
                Err(error) => {
                    note(&error.to_string());
                    self.failed.get_or_insert(ExitCode::FAILURE);
                    if self.options.json {
                        print_part(&json::unanswered(asked, &error.to_string()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Prints the parts of the answer that are missing from the output or shown as octets.
    fn note_faults(&mut self, response: &Response) {
        let faults = &response.faults;
        for fault in faults.iter().take(MAX_FAULTS) {
            note(&format!("{}: {fault}", response.server));
        }
        if let Some(more @ 1..) = faults.len().checked_sub(MAX_FAULTS) {
            note(&format!("{}: {more} more records do not decode", response.server));
        }
        if faults.iter().any(DecodeFault::is_loss) {
            self.failed.get_or_insert(ExitCode::FAILURE);
        }
    }

    fn show(
        &mut self,
        asked: &DigQuestion,
        response: &Response,
        cookie: Option<&[u8]>,
    ) -> Result<(), CommandError> {
        let options = self.options;
        if options.json {
            return print_part(&json::answered(asked, response, cookie));
        }
        if options.short {
            if response.message.answers.is_empty() {
                note(&format!("no answer records: {}", print::status(&response.message)));
            }
            return print_part(&print::short(&response.message));
        }
        let between = if std::mem::replace(&mut self.printed, true) && options.sections.separates() {
            "\n"
        } else {
            ""
        };
        print_part(&format!("{between}{}", print::long(response, cookie, options.sections)))
    }

    /// Reports a line that has no valid question.
    fn fail(&mut self, error: &LineError) {
        note(&error.to_string());
        self.failed.get_or_insert(if error.is_usage() { usage_code() } else { ExitCode::FAILURE });
    }

    fn answer(&self, asked: &DigQuestion, cookie: Option<&[u8]>) -> Result<Response, QueryError> {
        let QueryOptions { transport, retry, ignore_truncation, .. } = *self.options;
        let question = question(self.options, asked, cookie)?;
        let mut failed: Option<ExchangeError> = None;
        for &server in &self.servers {
            if let Some(error) = failed.take() {
                note(&format!("{error}; trying {server}"));
            }
            match ask(&question, server, transport, retry) {
                Ok(response) if response.is_cut() && !ignore_truncation => {
                    note(&format!("the answer from {server} is truncated; repeating the query over TCP"));
                    return Ok(ask(&question, server, Transport::Tcp, retry)?);
                }
                Ok(response) => return Ok(response),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.map_or_else(|| ProtoError::from("no server").into(), QueryError::from))
    }
}

fn question(
    options: &QueryOptions,
    asked: &DigQuestion,
    cookie: Option<&[u8]>,
) -> Result<PendingQuery, ProtoError> {
    let mut query = Query::query(asked.name.clone(), asked.record_type);
    query.set_query_class(asked.class);
    // `query` sets a random ID.
    let mut message = Message::query();
    message.metadata.recursion_desired = options.recurse;
    message.add_query(query.clone());
    if let Some(version) = options.edns {
        message.set_edns(edns(options, version, cookie));
    }
    Ok(PendingQuery { id: message.metadata.id, query, octets: message.to_vec()? })
}

fn edns(options: &QueryOptions, version: u8, cookie: Option<&[u8]>) -> Edns {
    let mut edns = Edns::new();
    edns.set_version(version).set_max_payload(options.bufsize).set_dnssec_ok(options.dnssec_ok);
    let sent = edns.options_mut();
    if let Some(cookie) = cookie {
        sent.insert(EdnsOption::Unknown(COOKIE, cookie.to_vec()));
    }
    if options.nsid {
        sent.insert(EdnsOption::Unknown(NSID, Vec::new()));
    }
    for OptionArg { code, data } in &options.extra {
        sent.insert(EdnsOption::Unknown(*code, data.clone()));
    }
    edns
}

/// Returns eight unpredictable octets: the standard library seeds its hashers from the system's randomness.
fn random_octets() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_be_bytes()
}
