//! One query to one server: sends it, waits, and accepts the reply that matches it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::serialize::binary::DecodeError;
use poddns_core::Transport;
use thiserror::Error;

use super::decode::{DecodeFault, Decoded, decode};
use crate::text::show_text;

/// Length of a header in octets (RFC 1035 4.1.1).
const HEADER: usize = 12;

/// Maximum length of a message, and so of a datagram, in octets (RFC 1035 4.2.2).
const MAX_MESSAGE: usize = 65_535;

/// Returns the name of a transport.
pub(crate) const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    }
}

/// Time limit and number of attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// Time limit of one try.
    pub(crate) timeout: Duration,
    /// Total number of tries, at least one.
    pub(crate) tries: u32,
}

/// A reply that matches the query.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) message: Message,
    /// Its octets, without the length octets of TCP.
    pub(crate) octets: Vec<u8>,
    /// Number of bytes after the end of the message.
    pub(crate) left_over: usize,
    /// The parts that could not be decoded.
    pub(crate) faults: Vec<DecodeFault>,
    pub(crate) server: SocketAddr,
    pub(crate) transport: Transport,
    /// Time from sending the query to receiving the whole reply.
    pub(crate) elapsed: Duration,
}

impl Response {
    /// Returns whether the query has to be repeated over TCP.
    pub(crate) fn is_cut(&self) -> bool {
        self.transport == Transport::Udp && self.message.metadata.truncation
    }
}

/// Reason why there is no answer from a server.
#[derive(Debug, Error)]
pub(crate) enum ExchangeError {
    /// An error of the socket.
    #[error("{server} ({transport}): {source}", transport = transport_name(*.transport))]
    Socket { server: SocketAddr, transport: Transport, source: io::Error },
    /// Connection refused: nothing listens on the port.
    #[error("{server} ({transport}): connection refused; is the server running, and does it listen on this address?",
            transport = transport_name(*.transport))]
    Refused { server: SocketAddr, transport: Transport },
    /// The server closed the connection.
    #[error("{server} (TCP): the server closed the connection without an answer{ignored}")]
    Closed { server: SocketAddr, ignored: Ignored },
    /// No reply in time.
    #[error("{server} ({transport}): no answer within {} s, tried {} times{ignored}",
            .retry.timeout.as_secs_f64(), .retry.tries, transport = transport_name(*.transport))]
    Timeout { server: SocketAddr, transport: Transport, retry: RetryPolicy, ignored: Ignored },
}

/// Replies that did not match the query: their number, and the mismatch of the last.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    count: u32,
    last: Option<Mismatch>,
}

impl Ignored {
    fn note(&mut self, mismatch: Mismatch) {
        self.count += 1;
        self.last = Some(mismatch);
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last {
            None => Ok(()),
            Some(last) => write!(f, "; packets ignored: {}, the last because it {last}", self.count),
        }
    }
}

/// Reason why a packet is not the reply to the query.
#[derive(Debug, Error)]
pub(crate) enum Mismatch {
    #[error("has {0} octets, fewer than a header")]
    Short(usize),
    #[error("has ID {got} instead of {want}")]
    Id { got: u16, want: u16 },
    #[error("is a query itself (QR=0)")]
    NotAResponse,
    #[error("does not parse: {}", show_text(&.0.to_string()))]
    Malformed(#[source] DecodeError),
    #[error("answers another question, or another operation than a query")]
    OtherQuestion,
}

/// A query to be sent: its octets, and the fields that a reply must match.
#[derive(Debug)]
pub(crate) struct PendingQuery {
    pub(crate) id: u16,
    pub(crate) query: Query,
    pub(crate) octets: Vec<u8>,
}

impl PendingQuery {
    /// Decodes a packet if it is the reply to this query.
    fn match_reply(&self, packet: &[u8]) -> Result<Decoded, Mismatch> {
        let Some((&[high, low, flags], _)) = packet.split_first_chunk().filter(|_| packet.len() >= HEADER)
        else {
            return Err(Mismatch::Short(packet.len()));
        };
        let id = u16::from_be_bytes([high, low]);
        if id != self.id {
            return Err(Mismatch::Id { got: id, want: self.id });
        }
        if flags & 0x80 == 0 {
            return Err(Mismatch::NotAResponse);
        }
        let decoded = decode(packet).map_err(Mismatch::Malformed)?;
        let message = &decoded.message;
        if message.metadata.op_code != OpCode::Query || !self.is_answered_by(message) {
            return Err(Mismatch::OtherQuestion);
        }
        Ok(decoded)
    }

    /// Returns whether the question section is that of the query. Error responses may lack it: servers may be unable
    /// or unwilling to parse the query.
    fn is_answered_by(&self, message: &Message) -> bool {
        match message.queries.as_slice() {
            [] => !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain),
            [query] => {
                query.name() == self.query.name()
                    && query.query_type() == self.query.query_type()
                    && query.query_class() == self.query.query_class()
            }
            _ => false,
        }
    }
}

/// Queries one server.
pub(crate) fn ask(
    question: &PendingQuery,
    server: SocketAddr,
    transport: Transport,
    retry: RetryPolicy,
) -> Result<Response, ExchangeError> {
    let mut ignored = Ignored::default();
    let socket_error = |source: io::Error| match source.kind() {
        ErrorKind::ConnectionRefused => ExchangeError::Refused { server, transport },
        _ => ExchangeError::Socket { server, transport, source },
    };
    let mut udp = None;
    for _ in 0..retry.tries {
        let deadline = Deadline::after(retry.timeout);
        let reply = match transport {
            Transport::Udp => {
                // One socket for all tries, so that a late reply to an earlier try is accepted.
                let socket = match udp.take() {
                    Some(socket) => socket,
                    None => connect_udp(server).map_err(socket_error)?,
                };
                ask_udp(question, udp.insert(socket), &deadline, &mut ignored)
            }
            Transport::Tcp => ask_tcp(question, server, &deadline, &mut ignored),
        };
        match reply {
            Ok((octets, Decoded { message, left_over, faults })) => {
                let elapsed = deadline.start.elapsed();
                return Ok(Response { message, octets, left_over, faults, server, transport, elapsed });
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(ExchangeError::Closed { server, ignored });
            }
            Err(error) => return Err(socket_error(error)),
        }
    }
    Err(ExchangeError::Timeout { server, transport, retry, ignored })
}

/// The octets of a reply, and the decoded message.
type ReceivedReply = (Vec<u8>, Decoded);

fn connect_udp(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Connected, so that the kernel drops packets from other sources and reports an ICMP refusal.
    socket.connect(server)?;
    Ok(socket)
}

fn ask_udp(
    question: &PendingQuery,
    socket: &UdpSocket,
    deadline: &Deadline,
    ignored: &mut Ignored,
) -> io::Result<ReceivedReply> {
    socket.send(&question.octets)?;
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        socket.set_read_timeout(Some(deadline.left()?))?;
        let packet = match socket.recv(&mut buffer) {
            Ok(len) => buffer.get(..len).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        match question.match_reply(packet) {
            Ok(decoded) => return Ok((packet.to_vec(), decoded)),
            Err(mismatch) => ignored.note(mismatch),
        }
    }
}

fn ask_tcp(
    question: &PendingQuery,
    server: SocketAddr,
    deadline: &Deadline,
    ignored: &mut Ignored,
) -> io::Result<ReceivedReply> {
    let mut stream = TcpStream::connect_timeout(&server, deadline.left()?)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(deadline.left()?))?;
    // Length and message in one segment (RFC 7766 8).
    let len = u16::try_from(question.octets.len()).map_err(|_| ErrorKind::InvalidInput)?;
    stream.write_all(&[&len.to_be_bytes(), question.octets.as_slice()].concat())?;
    loop {
        let mut len = [0; 2];
        read_exact(&mut stream, &mut len, deadline)?;
        let mut frame = vec![0; usize::from(u16::from_be_bytes(len))];
        read_exact(&mut stream, &mut frame, deadline)?;
        match question.match_reply(&frame) {
            Ok(decoded) => return Ok((frame, decoded)),
            Err(mismatch) => ignored.note(mismatch),
        }
    }
}

/// Fills the buffer before the deadline, from any number of segments.
fn read_exact(stream: &mut TcpStream, buffer: &mut [u8], deadline: &Deadline) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        stream.set_read_timeout(Some(deadline.left()?))?;
        match stream.read(rest) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Time limit of one try.
struct Deadline {
    start: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { start: Instant::now(), timeout }
    }

    /// Returns the time left, or the error of a time-out. Never zero, which means no time-out for a socket.
    fn left(&self) -> io::Result<Duration> {
        match self.timeout.saturating_sub(self.start.elapsed()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

/// Returns whether the socket timed out: `WouldBlock` on Unix and `TimedOut` elsewhere.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::MessageType;
    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::text::parse_name;

    fn question() -> PendingQuery {
        let name = parse_name("10-42-2-46.default.pod.cluster.local").expect("a name");
        let query = Query::query(name, RecordType::A);
        PendingQuery { id: 7, query, octets: Vec::new() }
    }

    fn reply(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(question().query);
        change(&mut message);
        message.to_vec().expect("a small message")
    }

    #[test]
    fn reply_in_other_case_is_accepted() {
        let octets = reply(|message| {
            let name = parse_name("10-42-2-46.DEFAULT.pod.cluster.local").expect("a name");
            message.queries = vec![Query::query(name, RecordType::A)];
        });
        assert!(question().match_reply(&octets).is_ok());
    }

    #[test]
    fn trailing_octets_are_counted() {
        let mut octets = reply(|_| {});
        octets.extend([0; 3]);
        assert_eq!(question().match_reply(&octets).expect("a reply").left_over, 3);
    }

    #[test]
    fn only_errors_may_lack_question() {
        for (rcode, taken) in [
            (ResponseCode::FormErr, true),
            (ResponseCode::NotImp, true),
            (ResponseCode::NoError, false),
            (ResponseCode::NXDomain, false),
        ] {
            let octets = reply(|message| {
                message.queries.clear();
                message.metadata.response_code = rcode;
            });
            assert_eq!(question().match_reply(&octets).is_ok(), taken, "{rcode}");
        }
    }

    #[test]
    fn unrelated_packets_are_refused() {
        let cases = [
            (reply(|message| message.metadata.id = 8), Mismatch::Id { got: 8, want: 7 }),
            (reply(|message| message.metadata.message_type = MessageType::Query), Mismatch::NotAResponse),
            (reply(|message| message.queries[0].query_type = RecordType::AAAA), Mismatch::OtherQuestion),
            (
                reply(|message| message.queries[0].name = parse_name("b").expect("a name")),
                Mismatch::OtherQuestion,
            ),
            (reply(|message| message.queries.push(question().query)), Mismatch::OtherQuestion),
            (reply(|message| message.metadata.op_code = OpCode::Notify), Mismatch::OtherQuestion),
            (vec![0; 11], Mismatch::Short(11)),
        ];
        for (octets, why) in cases {
            let mismatch = question().match_reply(&octets).expect_err("not the reply");
            assert_eq!(mismatch.to_string(), why.to_string());
        }
        let mut cut = reply(|_| {});
        cut.truncate(20);
        assert!(matches!(question().match_reply(&cut), Err(Mismatch::Malformed(_))));
    }
}
