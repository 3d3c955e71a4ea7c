//! The command line of `poddns query`: its options, and the words between them.

use std::time::Duration;

use clap::error::Error as ClapError;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use poddns_core::Transport;

use super::args::{self, CookieArg, OptionArg};
use super::exchange::RetryPolicy;
use super::print::Sections;
use super::words::{self, DigOption, DigWord};

const AFTER_HELP: &str = "\
`--help` has the other options, dig's words and examples.";

const AFTER_LONG_HELP: &str = "\
Words, in any order:
  NAME              a name, always taken as absolute; \\DDD and \\X escapes as in master files
  TYPE, CLASS       of the name before them; in front of all names, of each that has none. A mnemonic, TYPE123 or CLASS123.
                    By default IN, and A, or AAAA for a dashed IPv6 address. A name that reads like a type ends with a dot.
  @ADDR[:PORT]      the server, as --server
  -                 questions from standard input, a line each: names, types and classes
  +[no]tcp +[no]short +[no]json +[no]recurse +[no]ignore +[no]dnssec +[no]nsid +[no]edns[=N] +[no]cookie[=HEX]
  +bufsize=N +timeout=T +tries=N +retry=N
                    the options of the same name, as dig has them
  +[no]all +[no]comments +[no]question +[no]answer +[no]authority +[no]additional +[no]stats
                    the parts to print

Examples:
  poddns query 10-42-2-46.default.pod.cluster.local
  poddns query @10.96.0.10 +short A 10-42-2-46.default.pod.cluster.local
  poddns query 10-42-2-46.default.pod.cluster.local A AAAA fd00-10-244--7.web.pod.cluster.local
  poddns query -x 10.42.2.46 @127.0.0.1 -p 1053
  poddns query pod.cluster.local SOA --server [::1]:1053 --tcp
  kubectl get pods -o jsonpath='{.items[*].status.podIP}' | xargs poddns name | poddns query +short -

Exit status: 0 if every question has an answer, whatever its status; 1 if one has none; 64 for bad usage.";

/// The options, as clap reads them.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Flags {
    /// Names, types, @SERVER and +OPTIONS, in any order
    #[arg(value_name = "NAME|TYPE|@SERVER|+OPTION")]
    words: Vec<DigWord>,
    /// A type, like the word TYPE
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = words::record_type)]
    record_type: Vec<DigWord>,
    /// A class, like the word CLASS
    #[arg(long, short, value_name = "CLASS", value_parser = words::class, hide_short_help = true)]
    class: Vec<DigWord>,
    /// Query the name of an address in the reverse zones: type PTR
    #[arg(long, short = 'x', value_name = "ADDR", value_parser = words::reverse)]
    reverse: Vec<DigWord>,
    /// A name, even if it could be another word, such as a type
    #[arg(long, short = 'q', value_name = "NAME", value_parser = words::name, allow_hyphen_values = true,
          hide_short_help = true)]
    name: Vec<DigWord>,
    /// Read questions from a file, a line each; - is standard input
    #[arg(long, short, value_name = "FILE", value_parser = words::file)]
    file: Vec<DigWord>,
    /// The server: an address or a host name; port 53 unless one is given [default: 127.0.0.1:1053]
    #[arg(long, short, value_name = "ADDR[:PORT]", value_parser = words::server)]
    server: Vec<DigWord>,
    /// The server's port, if the server is given without one
    #[arg(long, short, value_name = "PORT", value_parser = args::port)]
    port: Option<u16>,
    /// Send all queries over TCP, not only after a truncated answer
    #[arg(long)]
    tcp: bool,
    /// Print the answers' data only, one a line
    #[arg(long, conflicts_with = "json")]
    short: bool,
    /// Print one JSON object for each question, on a line
    #[arg(long)]
    json: bool,
    /// Time limit for an answer, for each try: seconds, or with unit, as in 500ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::seconds)]
    timeout: Duration,
    /// Number of tries before giving up
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100),
          hide_short_help = true)]
    tries: u32,
    /// Query servers with an IPv4 address only
    #[arg(short = '4', hide_short_help = true, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Query servers with an IPv6 address only
    #[arg(short = '6', hide_short_help = true)]
    ipv6: bool,
    /// Leave RD unset
    #[arg(long)]
    norecurse: bool,
    /// Keep a truncated answer instead of repeating the query over TCP
    #[arg(long, hide_short_help = true)]
    ignore_truncation: bool,
    /// Set DO: the client takes DNSSEC records (RFC 3225)
    #[arg(long, hide_short_help = true, conflicts_with = "no_edns")]
    dnssec: bool,
    /// EDNS version of the queries
    #[arg(long, value_name = "VERSION", default_value_t = 0, hide_short_help = true)]
    edns: u8,
    /// Send no OPT record: without EDNS, answers have no extended errors
    #[arg(long, conflicts_with_all = ["edns", "bufsize", "cookie", "nsid", "option"], hide_short_help = true)]
    no_edns: bool,
    /// Advertised maximum length of an answer over UDP, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 1232, hide_short_help = true)]
    bufsize: u16,
    /// Send a DNS cookie: a random client cookie, or these octets
    #[arg(long, value_name = "HEX", num_args = 0..=1, require_equals = true, default_missing_value = "",
          hide_short_help = true)]
    cookie: Option<CookieArg>,
    /// Request the server's identifier (RFC 5001)
    #[arg(long, hide_short_help = true)]
    nsid: bool,
    /// Send another EDNS option; may be repeated
    #[arg(long, value_name = "CODE[:HEX]", hide_short_help = true)]
    option: Vec<OptionArg>,
}

/// Options that refer to the words before or after them, like words.
const WORDS: [&str; 7] = ["words", "record_type", "class", "reverse", "name", "file", "server"];

/// Options of queries and of output.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct QueryOptions {
    pub(super) port: Option<u16>,
    pub(super) transport: Transport,
    pub(super) retry: RetryPolicy,
    /// Only servers with an address of this family are queried: IPv4 if true, IPv6 if false.
    pub(super) ipv4: Option<bool>,
    pub(super) recurse: bool,
    pub(super) ignore_truncation: bool,
    /// `None` sends no OPT.
    pub(super) edns: Option<u8>,
    pub(super) bufsize: u16,
    pub(super) dnssec_ok: bool,
    pub(super) nsid: bool,
    pub(super) cookie: Option<CookieArg>,
    pub(super) extra: Vec<OptionArg>,
    pub(super) short: bool,
    pub(super) json: bool,
    pub(super) sections: Sections,
}

/// The command line of `poddns query`.
#[derive(Debug)]
pub(crate) struct QueryArgs {
    pub(super) options: QueryOptions,
    /// In the order of the command line.
    pub(super) words: Vec<DigWord>,
}

impl FromArgMatches for QueryArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        let mut words = Vec::new();
        for id in WORDS {
            let values = matches.get_many::<DigWord>(id).into_iter().flatten();
            words.extend(matches.indices_of(id).into_iter().flatten().zip(values.cloned()));
        }
        words.sort_by_key(|(place, _)| *place);
        let words: Vec<DigWord> = words.into_iter().map(|(_, word)| word).collect();
        let mut options = QueryOptions::from(Flags::from_arg_matches(matches)?);
        for word in &words {
            if let DigWord::Option(option) = word {
                options.set(option);
            }
        }
        Ok(Self { options, words })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for QueryArgs {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl From<Flags> for QueryOptions {
    fn from(flags: Flags) -> Self {
        Self {
            port: flags.port,
            transport: if flags.tcp { Transport::Tcp } else { Transport::Udp },
            retry: RetryPolicy { timeout: flags.timeout, tries: flags.tries },
            ipv4: (flags.ipv4 || flags.ipv6).then_some(flags.ipv4),
            recurse: !flags.norecurse,
            ignore_truncation: flags.ignore_truncation,
            edns: (!flags.no_edns).then_some(flags.edns),
            bufsize: flags.bufsize,
            dnssec_ok: flags.dnssec,
            nsid: flags.nsid,
            cookie: flags.cookie,
            extra: flags.option,
            short: flags.short,
            json: flags.json,
            sections: Sections::ALL,
        }
    }
}

impl QueryOptions {
    /// Sets an option. The last of several contradictory options wins, as in dig.
    fn set(&mut self, option: &DigOption) {
        match option {
            DigOption::Tcp(on) => self.transport = if *on { Transport::Tcp } else { Transport::Udp },
            DigOption::Short(on) => self.short = *on,
            DigOption::Json(on) => self.json = *on,
            DigOption::Recurse(on) => self.recurse = *on,
            DigOption::IgnoreTruncation(on) => self.ignore_truncation = *on,
            DigOption::Edns(version) => self.edns = *version,
            DigOption::Bufsize(size) => self.bufsize = *size,
            DigOption::DnssecOk(on) => self.dnssec_ok = *on,
            DigOption::Nsid(on) => self.nsid = *on,
            DigOption::Cookie(cookie) => self.cookie.clone_from(cookie),
            DigOption::Timeout(timeout) => self.retry.timeout = *timeout,
            DigOption::Tries(tries) => self.retry.tries = *tries,
            DigOption::Print(sections, on) => self.sections = self.sections.set(*sections, *on),
            DigOption::Nothing => {}
        }
    }
}
