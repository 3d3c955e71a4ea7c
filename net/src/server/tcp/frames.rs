//! Messages in a stream: two octets of length in front of each (RFC 1035 4.2.2, RFC 7766 8).

/// Length of the length field, in bytes.
const LENGTH_LEN: usize = 2;

/// Maximum length of a message in bytes, given by the length field.
pub(super) const MAX_MESSAGE_LEN: usize = 65_535;

/// Framed replies that have yet to be sent.
#[derive(Debug)]
pub(super) struct Replies {
    octets: Box<[u8]>,
    len: usize,
    enough: usize,
}

impl Replies {
    /// Returns a buffer for at least `enough` bytes, and one more message of any length.
    pub(super) fn new(enough: usize) -> Self {
        Self { octets: vec![0; enough + LENGTH_LEN + MAX_MESSAGE_LEN].into(), len: 0, enough }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Returns true if the replies should be sent before more are written.
    fn full(&self) -> bool {
        self.len >= self.enough
    }

    /// Frames the reply that `write` writes, if any.
    fn push(&mut self, write: impl FnOnce(&mut [u8]) -> MessageOutcome) -> MessageOutcome {
        let Some((length, room)) =
            self.octets.get_mut(self.len..).and_then(|rest| rest.split_first_chunk_mut::<LENGTH_LEN>())
        else {
            return MessageOutcome::None;
        };
        let answer = write(room.get_mut(..MAX_MESSAGE_LEN).unwrap_or_default());
        let MessageOutcome::Reply(len) = answer else { return answer };
        let Ok(len) = u16::try_from(len) else { return MessageOutcome::None };
        *length = len.to_be_bytes();
        self.len += LENGTH_LEN + usize::from(len);
        answer
    }
}

/// Result of answering one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageOutcome {
    /// No reply.
    None,
    /// A reply of this length.
    Reply(usize),
    /// The reply is several messages, which are sent before the next message is answered.
    Several,
}

/// Result of answering the messages at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamProgress {
    /// Number of bytes of the messages that were answered.
    pub(super) consumed: usize,
    /// Number of messages with a reply.
    pub(super) replies: usize,
    /// True if no complete message is left. Otherwise the replies have reached their limit, or a transfer must be sent
    /// first.
    pub(super) all: bool,
}

/// Answers the complete messages at the front of `input`, in order, until the replies reach their limit or a reply is
/// several messages.
pub(super) fn answer(
    input: &[u8],
    replies: &mut Replies,
    mut each: impl FnMut(&[u8], &mut [u8]) -> MessageOutcome,
) -> StreamProgress {
    let mut answered = StreamProgress { consumed: 0, replies: 0, all: true };
    while let Some(message) = input.get(answered.consumed..).and_then(first) {
        if replies.full() {
            answered.all = false;
            break;
        }
        let answer = replies.push(|out| each(message, out));
        answered.replies += usize::from(matches!(answer, MessageOutcome::Reply(_)));
        answered.consumed += LENGTH_LEN + message.len();
        if answer == MessageOutcome::Several {
            answered.all = false;
            break;
        }
    }
    answered
}

/// Returns the first message, if it is complete.
fn first(input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = input.split_first_chunk::<LENGTH_LEN>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Echoes messages, except those that begin with a zero.
    fn echo(message: &[u8], out: &mut [u8]) -> MessageOutcome {
        if message.first().is_none_or(|&octet| octet == 0) {
            return MessageOutcome::None;
        }
        out[..message.len()].copy_from_slice(message);
        MessageOutcome::Reply(message.len())
    }

    #[test]
    fn several_messages_come_before_the_next_reply() {
        let input = b"\0\x01a\0\x01!\0\x01b";
        let mut replies = Replies::new(100);
        let each = |message: &[u8], out: &mut [u8]| {
            if message == b"!" { MessageOutcome::Several } else { echo(message, out) }
        };
        let answered = answer(input, &mut replies, each);
        assert_eq!(answered, StreamProgress { consumed: 6, replies: 1, all: false });
        assert_eq!(replies.as_slice(), b"\0\x01a");
    }

    #[test]
    fn whole_messages_are_answered_in_order() {
        let input = b"\0\x01a\0\x02bb\0\0\0\x01\0\0\x03ccc\0\x02d";
        let mut replies = Replies::new(100);
        let answered = answer(input, &mut replies, echo);
        assert_eq!(answered, StreamProgress { consumed: 17, replies: 3, all: true });
        assert_eq!(replies.as_slice(), b"\0\x01a\0\x02bb\0\x03ccc");
    }

    #[test]
    fn replies_stop_at_their_limit() {
        let input = b"\0\x01a\0\x01b\0\x01c";
        let mut replies = Replies::new(4);
        let answered = answer(input, &mut replies, echo);
        assert_eq!(answered, StreamProgress { consumed: 6, replies: 2, all: false });
        replies.clear();
        let answered = answer(&input[6..], &mut replies, echo);
        assert_eq!(answered, StreamProgress { consumed: 3, replies: 1, all: true });
    }

    #[test]
    fn the_longest_message_has_room_behind_others() {
        let mut input = vec![0, 3, 1, 1, 1, 0xff, 0xff];
        input.resize(7 + MAX_MESSAGE_LEN, 7);
        let mut replies = Replies::new(6);
        assert_eq!(answer(&input, &mut replies, echo).replies, 2);
        assert_eq!(replies.as_slice(), input);
    }

    #[test]
    fn replies_do_not_depend_on_cuts() {
        let input = b"\0\x05hello\0\0\0\x02ab\0\x01z";
        for cut in 0..=input.len() {
            let mut replies = Replies::new(1000);
            let first = answer(&input[..cut], &mut replies, echo);
            let second = answer(&input[first.consumed..], &mut replies, echo);
            assert_eq!(first.consumed + second.consumed, input.len(), "cut at {cut}");
            assert_eq!(replies.as_slice(), b"\0\x05hello\0\x02ab\0\x01z", "cut at {cut}");
        }
    }
}
