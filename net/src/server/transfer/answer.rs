//! Decisions on queries that the responder leaves to the driver: queries for transfers, and signed queries.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::base::message::Message;
use poddns_core::transfer::{Transfer, TransferMessage, TransferQuery, respond_without_records};
use poddns_core::wire::{Ede, Rcode};
use poddns_core::{Config, Freshness, MIN_REPLY, Outcome, Reply, Request, Transport, respond};

use super::counters::{TransferKind, TransferRefusal};
use super::send::TransferJob;
use super::signed::{self, RejectedRequest, Signer, VerifiedRequest};
use super::{TransferService, unix_time};

/// Seconds between two log lines about refusals.
const LOG_INTERVAL: u64 = 60;

/// A query that the responder left to the driver.
#[derive(Clone, Copy)]
pub(crate) struct DeferredQuery<'a> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) query: &'a [u8],
    pub(crate) request: &'a Request,
}

/// The outcome of a query for a transfer.
#[derive(Debug)]
pub(crate) enum TransferOutcome {
    /// The response is at the front of the output buffer.
    Reply(Reply),
    /// The response is several messages.
    Transfer(Box<TransferJob>),
    /// There is no room for a response.
    Nothing,
}

impl From<Option<Reply>> for TransferOutcome {
    fn from(reply: Option<Reply>) -> Self {
        reply.map_or(Self::Nothing, Self::Reply)
    }
}

impl TransferOutcome {
    /// Answers a query while there is no service: no zone can be transferred, and no signature can be checked.
    pub(crate) fn not_ready(query: &[u8], out: &mut [u8]) -> Self {
        respond_without_records(query, Rcode::SERVFAIL, Some(Ede::NOT_READY), out).into()
    }
}

impl TransferService {
    /// Answers a query whose outcome was [`Outcome::Transfer`] or [`Outcome::Signed`].
    pub(crate) fn answer(
        self: &Arc<Self>,
        outcome: Outcome,
        asked: DeferredQuery<'_>,
        out: &mut [u8],
    ) -> TransferOutcome {
        match outcome {
            Outcome::Transfer(transfer) => self.transfer_to(transfer, asked, None, out),
            Outcome::Signed => self.answer_signed(asked, out),
            _ => TransferOutcome::Nothing,
        }
    }

    fn answer_signed(self: &Arc<Self>, asked: DeferredQuery<'_>, out: &mut [u8]) -> TransferOutcome {
        match signed::check(self.keys.as_ref(), asked.query, unix_time()) {
            Some(Ok(VerifiedRequest { request, signer })) => {
                self.answer_checked(&request, asked, signer, out)
            }
            Some(Err(RejectedRequest { response, rcode, error })) => {
                self.log_refusal(asked.request.source, TransferRefusal::Signature, error);
                copy(&response, out).map(|len| Reply::by_driver(len, rcode, None)).into()
            }
            None => respond_without_records(asked.query, Rcode::FORMERR, None, out).into(),
        }
    }

    /// Answers a query with a valid signature; the response is signed.
    fn answer_checked(
        self: &Arc<Self>,
        query: &[u8],
        asked: DeferredQuery<'_>,
        signer: Signer,
        out: &mut [u8],
    ) -> TransferOutcome {
        let limit = limit(query, asked.request.transport).min(out.len());
        let room = limit.saturating_sub(signer.len()).max(MIN_REPLY).min(out.len());
        let Some(room) = out.get_mut(..room) else { return TransferOutcome::Nothing };
        let mut request = *asked.request;
        loop {
            let reply = match respond(asked.config, &*self.pods.0, query, &request, room) {
                Outcome::Reply(reply) => reply,
                Outcome::Transfer(transfer) => {
                    return self.transfer_to(transfer, DeferredQuery { query, ..asked }, Some(signer), out);
                }
                _ => return TransferOutcome::Nothing,
            };
            // The signature does not fit beside the records.
            if reply.len + signer.len() > limit && !request.truncate {
                request.truncate = true;
                continue;
            }
            return sign(Some(signer), reply, out).into();
        }
    }

    /// Starts a transfer to a client, or refuses it.
    fn transfer_to(
        self: &Arc<Self>,
        transfer: Transfer,
        asked: DeferredQuery<'_>,
        signer: Option<Signer>,
        out: &mut [u8],
    ) -> TransferOutcome {
        let client = asked.request.source.to_canonical();
        let serial = self.versions.as_ref().and_then(|versions| versions.stats().serial);
        // There may be a version of a snapshot that has since been found to be of another cluster.
        let serial = serial.filter(|_| self.pods.0.freshness() != Freshness::Unsynced);
        let is_udp = asked.request.transport == Transport::Udp;
        let refusal = match (serial, transfer.known) {
            _ if !self.is_secondary(client) => TransferRefusal::Address,
            _ if self.keys.is_some() && signer.is_none() => TransferRefusal::Unsigned,
            (None, _) => TransferRefusal::NotReady,
            (_, None) if is_udp => TransferRefusal::Transport,
            (Some(serial), known) => {
                if let Some(known) = known {
                    self.counters.seen(client, known);
                }
                if is_udp {
                    return self.answer_soa(transfer, serial, asked, signer, out);
                }
                let (service, query) = (Arc::clone(self), asked.query.to_vec());
                return TransferOutcome::Transfer(Box::new(TransferJob {
                    service,
                    client,
                    query,
                    transfer,
                    signer,
                }));
            }
        };
        self.refuse(refusal, asked, signer, out)
    }

    /// Answers IXFR over UDP with one SOA record, so that the client repeats the query over TCP. RFC 1995 2: if the
    /// differences do not fit, "the server should send a single SOA record of the current version".
    fn answer_soa(
        &self,
        transfer: Transfer,
        serial: u32,
        asked: DeferredQuery<'_>,
        signer: Option<Signer>,
        out: &mut [u8],
    ) -> TransferOutcome {
        let written = TransferQuery::new(asked.query).and_then(|query| {
            let mut message = TransferMessage::begin(asked.config, &query, transfer, out)?;
            message.soa(serial).ok()?;
            Some(Reply::by_driver(message.finish(), Rcode::NOERROR, None))
        });
        self.counters.completed(TransferKind::Soa).add(1);
        written.and_then(|reply| sign(signer, reply, out)).into()
    }

    fn refuse(
        &self,
        refusal: TransferRefusal,
        asked: DeferredQuery<'_>,
        signer: Option<Signer>,
        out: &mut [u8],
    ) -> TransferOutcome {
        self.log_refusal(asked.request.source, refusal, refusal.name());
        let (rcode, ede) = match refusal {
            TransferRefusal::NotReady => (Rcode::SERVFAIL, Ede::NOT_READY),
            TransferRefusal::Transport => (Rcode::REFUSED, Ede::NOT_SUPPORTED),
            TransferRefusal::Address | TransferRefusal::Unsigned | TransferRefusal::Signature => {
                (Rcode::REFUSED, Ede::PROHIBITED)
            }
        };
        let written = respond_without_records(asked.query, rcode, Some(ede), out);
        written.and_then(|reply| sign(signer, reply, out)).into()
    }

    /// Counts a refusal, and logs at most one per minute.
    fn log_refusal(&self, client: IpAddr, refusal: TransferRefusal, reason: &str) {
        static LOGGED: AtomicU64 = AtomicU64::new(0);
        self.counters.refused(refusal).add(1);
        let (now, last) = (unix_time(), LOGGED.load(Ordering::Relaxed));
        let is_due = now.abs_diff(last) >= LOG_INTERVAL;
        if is_due && LOGGED.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                client = %client.to_canonical(),
                reason,
                "refused a zone transfer or a signed query; see poddns_transfer_refused_total for how many there are"
            );
        }
    }
}

/// Returns the maximum length of a response in bytes.
fn limit(query: &[u8], transport: Transport) -> usize {
    if transport == Transport::Tcp {
        return usize::from(u16::MAX);
    }
    let size = Message::from_octets(query).ok().and_then(|message| Some(message.opt()?.udp_payload_size()));
    size.map_or(MIN_REPLY, usize::from).max(MIN_REPLY)
}

/// Signs the response at the front of the output buffer, if there is a signer.
fn sign(signer: Option<Signer>, mut reply: Reply, out: &mut [u8]) -> Option<Reply> {
    if let Some(mut signer) = signer {
        let response = signer.sign(out.get(..reply.len)?.to_vec(), unix_time())?;
        reply.len = copy(&response, out)?;
    }
    Some(reply)
}

fn copy(message: &[u8], out: &mut [u8]) -> Option<usize> {
    out.get_mut(..message.len())?.copy_from_slice(message);
    Some(message.len())
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;
    use domain::base::message_builder::MessageBuilder;
    use domain::base::name::Name;
    use domain::rdata::tsig::Time48;
    use domain::tsig::{Algorithm, ClientTransaction, Key};
    use poddns_core::NoPods;

    use super::*;
    use crate::server::feed::UnopenedPods;
    use crate::server::pods::{ServedPods, SharedPods};

    const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

    fn service() -> Arc<TransferService> {
        let secret = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, SECRET);
        let keys = format!("key poddns {{ algorithm hmac-sha256; secret {secret}; }};");
        TransferService::with_keys(SharedPods(Arc::new(NoPods)), &keys)
    }

    /// Returns a signed query for AXFR, and the offset of its TSIG record.
    fn query() -> (Vec<u8>, usize) {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(7);
        let mut question = builder.question();
        question.push((Name::<Vec<u8>>::vec_from_str("pod.cluster.local").unwrap(), Rtype::AXFR)).unwrap();
        let mut message = question.additional();
        let unsigned = message.as_slice().len();
        let key = Key::new(Algorithm::Sha256, SECRET, "poddns".parse().unwrap(), None, None).unwrap();
        ClientTransaction::request(key, &mut message, Time48::from_u64(unix_time())).unwrap();
        (message.finish(), unsigned)
    }

    #[test]
    fn refused_snapshot_is_not_transferred() {
        let is_transferred = |pods: Arc<dyn ServedPods>| {
            let service = TransferService::sample(SharedPods(pods), &Arc::default(), true);
            let axfr = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x03pod\x07cluster\x05local\0\0\xfc\0\x01";
            matches!(answered(&service, axfr, Transport::Tcp), Some(TransferOutcome::Transfer(_)))
        };
        assert!(is_transferred(Arc::new(NoPods)));
        assert!(!is_transferred(Arc::new(UnopenedPods::default())));
    }

    /// Answers a query as a thread does; `None` if the responder does not leave it to the service.
    fn answered(
        service: &Arc<TransferService>,
        query: &[u8],
        transport: Transport,
    ) -> Option<TransferOutcome> {
        let (config, mut out) = (service.settings.answers(), vec![0; 4096]);
        let request = Request::new(transport, [192, 0, 2, 53].into(), 0);
        let outcome = respond(&config, &*service.pods.0, query, &request, &mut out);
        let asked = DeferredQuery { config: &config, query, request: &request };
        let is_own = matches!(outcome, Outcome::Signed | Outcome::Transfer(_));
        is_own.then(|| service.answer(outcome, asked, &mut out)).inspect(|answered| match answered {
            TransferOutcome::Reply(reply) => {
                let response = Message::from_octets(&out[..reply.len]).unwrap();
                assert!(
                    response.header().qr()
                        && response.header().id() == u16::from_be_bytes([query[0], query[1]])
                );
            }
            TransferOutcome::Transfer(_) | TransferOutcome::Nothing => {}
        })
    }

    #[test]
    fn garbled_signatures_transfer_nothing() {
        let (service, (query, unsigned)) = (service(), query());
        let intact = answered(&service, &query, Transport::Tcp);
        assert!(matches!(intact, Some(TransferOutcome::Transfer(_))), "{intact:?}");
        // After the name of the key, type and class.
        let ttl = unsigned + "poddns".len() + 6;
        for at in 0..query.len() {
            for change in [0x01, 0x80, 0xc0, 0xff] {
                let mut garbled = query.clone();
                garbled[at] ^= change;
                for transport in [Transport::Tcp, Transport::Udp] {
                    let answered = answered(&service, &garbled, transport);
                    // RFC 8945 5.3: the original ID and a TTL of 0 are signed, whatever the message has.
                    let is_signed = at >= 2 && !(ttl..ttl + 4).contains(&at);
                    assert!(
                        !is_signed || !matches!(answered, Some(TransferOutcome::Transfer(_))),
                        "{at} {change:x}"
                    );
                }
            }
            for cut in [query[..at].to_vec(), [&query[..at], &query[at + 1..]].concat()] {
                let answered = answered(&service, &cut, Transport::Tcp);
                assert!(!matches!(answered, Some(TransferOutcome::Transfer(_))), "{at}: {answered:?}");
            }
            let mut longer = query.clone();
            longer.insert(at, 0);
            let answered = answered(&service, &longer, Transport::Tcp);
            // Octets after the message are not part of it.
            let is_same = longer.starts_with(&query);
            assert!(is_same || !matches!(answered, Some(TransferOutcome::Transfer(_))), "{at}: {answered:?}");
        }
    }
}
