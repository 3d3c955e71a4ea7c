//! Transaction signatures (RFC 8945): checks requests, and signs responses.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use domain::base::iana::TsigRcode;
use domain::base::message::Message;
use domain::base::message_builder::{AdditionalBuilder, MessageBuilder};
use domain::base::wire::Composer;
use domain::dep::octseq::{OctetsBuilder, Truncate};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key, KeyName, ServerError, ServerSequence};
use poddns_core::wire::Rcode;

use super::keys::TsigKeys;

/// Length of the ID at the front of a message, in bytes.
const ID: usize = 2;

/// Signs the messages of a response, in their order.
#[derive(Debug)]
pub(super) struct Signer(ServerSequence<Key>);

/// A request with a valid signature.
pub(super) struct VerifiedRequest {
    /// The request without its signature.
    pub(super) request: Vec<u8>,
    pub(super) signer: Signer,
}

/// A request with an invalid signature, or one of an unknown key.
pub(super) struct RejectedRequest {
    /// The response.
    pub(super) response: Vec<u8>,
    pub(super) rcode: Rcode,
    /// Name of the error in RFC 8945.
    pub(super) error: &'static str,
}

/// Checks the signature of a request; `now` is in Unix seconds. Returns `None` if the request has no signature or is
/// not a message.
pub(super) fn check(
    keys: Option<&TsigKeys>,
    request: &[u8],
    now: u64,
) -> Option<Result<VerifiedRequest, RejectedRequest>> {
    // The check removes the signature in place.
    let mut message = Message::from_octets(request.to_vec()).ok()?;
    let now = Time48::from_u64(now & 0xffff_ffff_ffff);
    let result = match keys {
        Some(keys) => ServerSequence::request(&*keys.store, &mut message, now),
        None => ServerSequence::request(&HashMap::<(KeyName, Algorithm), Key>::new(), &mut message, now),
    };
    match result {
        Ok(Some(sequence)) => {
            // The check has set the ID to the one that was signed; the response needs the ID of the received message,
            // which a forwarder may have changed.
            let mut unsigned = message.into_octets();
            unsigned.get_mut(..ID)?.copy_from_slice(request.get(..ID)?);
            Some(Ok(VerifiedRequest { request: unsigned, signer: Signer(sequence) }))
        }
        Ok(None) => None,
        Err(error) => Some(Err(refuse(error, request)?)),
    }
}

fn refuse(error: ServerError<Key>, request: &[u8]) -> Option<RejectedRequest> {
    let request = Message::from_octets(request).ok()?;
    let code = error.error();
    let builder = MessageBuilder::from_target(Vec::new()).ok()?;
    let built = error.build_message(&request, builder).ok()?;
    let rcode = Rcode(built.header().rcode().to_int().into());
    let mut response = built.finish();
    let error = match code {
        TsigRcode::BADKEY => "BADKEY",
        TsigRcode::BADTIME => "BADTIME",
        TsigRcode::BADTRUNC => "BADTRUNC",
        TsigRcode::FORMERR if rcode == Rcode::NOTAUTH => {
            // RFC 8945 5.2.2: an invalid signature is BADSIG. `domain` 0.12 writes FORMERR. The error field is the last
            // one of the signature, except for an empty field of other data.
            let field = response.len().checked_sub(4)?;
            response.get_mut(field..field + 2)?.copy_from_slice(&TsigRcode::BADSIG.to_int().to_be_bytes());
            "BADSIG"
        }
        _ => "FORMERR",
    };
    Some(RejectedRequest { response, rcode, error })
}

impl Signer {
    /// Returns the maximum length of the signature in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.key().compose_len().into()
    }

    /// Appends the signature to a message. Returns `None` if it does not fit.
    pub(super) fn sign(&mut self, message: Vec<u8>, now: u64) -> Option<Vec<u8>> {
        let mut builder = MessageBuffer::builder(message)?;
        self.0.answer(&mut builder, Time48::from_u64(now & 0xffff_ffff_ffff)).ok()?;
        Some(builder.finish().octets)
    }
}

/// Signs a request that this server sends.
pub(super) fn sign_request(
    key: &Arc<Key>,
    message: &mut AdditionalBuilder<Vec<u8>>,
    now: u64,
) -> Option<ClientTransaction<Arc<Key>>> {
    let now = Time48::from_u64(now & 0xffff_ffff_ffff);
    ClientTransaction::request(Arc::clone(key), message, now).ok()
}

/// Returns true if the signature of the response to such a request is valid.
pub(super) fn is_valid(
    transaction: &ClientTransaction<Arc<Key>>,
    response: &mut Message<Vec<u8>>,
    now: u64,
) -> bool {
    transaction.answer(response, Time48::from_u64(now & 0xffff_ffff_ffff)).is_ok()
}

/// A complete message, for a builder that appends the signature. A builder first writes its own header, which is
/// discarded.
struct MessageBuffer {
    octets: Vec<u8>,
    /// True until the builder has written its header.
    is_new: bool,
}

impl MessageBuffer {
    fn builder(octets: Vec<u8>) -> Option<AdditionalBuilder<Self>> {
        let written = Self { octets, is_new: true };
        Some(MessageBuilder::from_target(written).ok()?.additional())
    }
}

impl OctetsBuilder for MessageBuffer {
    type AppendError = Infallible;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), Infallible> {
        if !std::mem::take(&mut self.is_new) {
            self.octets.extend_from_slice(slice);
        }
        Ok(())
    }
}

impl Truncate for MessageBuffer {
    fn truncate(&mut self, len: usize) {
        if !self.is_new {
            self.octets.truncate(len);
        }
    }
}

impl AsRef<[u8]> for MessageBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl AsMut<[u8]> for MessageBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.octets
    }
}

impl Composer for MessageBuffer {}
