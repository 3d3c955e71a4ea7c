//! The comparison of the index with the cluster, beside the watch: sends its requests and passes the responses to the
//! machine.

use bytes::Bytes;
use hyper::body::Frame;

use super::{BodyReader, Driver, OngoingRequest, RequestEvent, now};
use crate::feed::decode::{ListItem, Object};
use crate::feed::exchange::{AnswerContent, BodyDecoder};
use crate::feed::explain::chain;
use crate::feed::machine::target::ObjectTarget;

impl<T> Driver<T>
where
    T: ObjectTarget,
    T::Object: Object,
{
    /// Begins a list to compare with, if one is due.
    pub(super) fn begin_resync(&mut self, resync: &mut Option<OngoingRequest<T::Object>>) {
        if let Some(request) = self.machine.poll_resync(now()) {
            let answer = self.requester.request(request.clone(), self.confirmed);
            *resync = Some(OngoingRequest::Awaiting(request, answer));
        } else if !self.machine.is_resyncing() {
            *resync = None;
        }
    }

    pub(super) fn resync_progress(
        &mut self,
        progress: RequestEvent,
        resync: &mut Option<OngoingRequest<T::Object>>,
    ) {
        let failed = match (progress, resync.take()) {
            (RequestEvent::Answered(Ok(answered)), Some(OngoingRequest::Awaiting(request, _))) => {
                match answered.answer {
                    AnswerContent::Body(response, format) => {
                        let (decoder, body) = (BodyDecoder::new(&request, format), response.into_body());
                        let reading = BodyReader { body, decoder, liveness: None, probes: None, probe: None };
                        *resync = Some(OngoingRequest::Reading(Box::new(reading)));
                        None
                    }
                    AnswerContent::Identity(..) | AnswerContent::OtherClient => {
                        Some("the client was replaced".to_owned())
                    }
                }
            }
            (RequestEvent::Answered(Err(cause)), Some(OngoingRequest::Awaiting(request, _))) => {
                Some(self.machine.subject().explain(&request, &cause, false))
            }
            (RequestEvent::Chunk(chunk), Some(OngoingRequest::Reading(reading))) => {
                self.resync_chunk(chunk, reading, resync)
            }
            _ => None,
        };
        if let Some(why) = failed {
            self.machine.resync_failed(why);
            *resync = None;
        }
    }

    /// Processes a part of the list. Returns the reason if the comparison fails.
    fn resync_chunk(
        &mut self,
        chunk: Option<Result<Frame<Bytes>, kube::Error>>,
        mut reading: Box<BodyReader<T::Object>>,
        resync: &mut Option<OngoingRequest<T::Object>>,
    ) -> Option<String> {
        match chunk {
            Some(Ok(frame)) => {
                self.machine.resync_heard(now());
                if let Ok(data) = frame.into_data() {
                    reading.decoder.push(data);
                }
                let BodyDecoder::List(list) = &mut reading.decoder else { return None };
                loop {
                    match list.next() {
                        Ok(Some(ListItem::Object(object))) => self.machine.resync_listed(&object),
                        Ok(Some(ListItem::Malformed(_))) => {}
                        Ok(None) => break,
                        Err(error) => return Some(chain(&error)),
                    }
                }
                *resync = Some(OngoingRequest::Reading(reading));
                None
            }
            Some(Err(error)) => Some(chain(&error)),
            None => match reading.decoder {
                BodyDecoder::List(list) => match list.finish() {
                    Ok(end) if end.continue_token.is_none() => {
                        self.machine.resync_ended(&end.resource_version);
                        None
                    }
                    Ok(_) => Some("the server sent a page, although the whole list was requested".to_owned()),
                    Err(error) => Some(chain(&error)),
                },
                BodyDecoder::Watch(_) => None,
            },
        }
    }
}
