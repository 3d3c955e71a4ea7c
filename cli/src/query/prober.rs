//! One query to one server, reduced to rcode and data.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};

use super::args::ServerArg;
use poddns_core::Transport;

use super::QueryError;
use super::decode::DecodeFault;
use super::exchange::{PendingQuery, RetryPolicy, ask};
use super::print::{show_rcode, show_rdata};
use crate::outcome::CommandError;

/// Number of tries per question.
const TRIES: u32 = 2;

/// The UDP payload size that is advertised, in octets.
const PAYLOAD_SIZE: u16 = 1232;

/// Rcode and data of an answer, without TTLs and order, which may differ between servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbeAnswer {
    pub(crate) status: String,
    /// Sorted; of the qtype only, so that a CNAME in the answer is ignored.
    pub(crate) data: Vec<String>,
}

/// A server to which many queries are sent.
pub(crate) struct Prober {
    server: SocketAddr,
    retry: RetryPolicy,
}

impl Prober {
    /// Uses the first address of the server, with `port` as default.
    pub(crate) fn new(server: &ServerArg, port: u16, timeout: Duration) -> Result<Self, CommandError> {
        let server = server.first_address(port)?;
        Ok(Self { server, retry: RetryPolicy { timeout, tries: TRIES } })
    }

    /// Queries over UDP, and over TCP if the answer is truncated. The error is the reason why there is no answer.
    pub(crate) fn ask(&self, name: &Name, record_type: RecordType) -> Result<ProbeAnswer, QueryError> {
        let query = Query::query(name.clone(), record_type);
        // `query` sets a random ID.
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_SIZE);
        message.set_edns(edns);
        let octets = message.to_vec()?;
        let question = PendingQuery { id: message.metadata.id, query, octets };
        let exchange = |transport| ask(&question, self.server, transport, self.retry);
        let mut response = exchange(Transport::Udp)?;
        if response.is_cut() {
            response = exchange(Transport::Tcp)?;
        }
        if let Some(at) = response.faults.iter().position(DecodeFault::is_loss) {
            let fault = Box::new(response.faults.swap_remove(at));
            return Err(QueryError::Loss { server: response.server, fault });
        }
        let answers = response.message.answers.iter();
        let mut data: Vec<String> = answers
            .filter(|record| record_type == RecordType::ANY || record.record_type() == record_type)
            .map(|record| show_rdata(&record.data))
            .collect();
        data.sort_unstable();
        let status = show_rcode(u16::from(response.message.metadata.response_code));
        Ok(ProbeAnswer { status, data })
    }
}
