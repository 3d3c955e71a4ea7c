//! The address and namespace that a query asks for, for drivers that record queries.

use core::net::IpAddr;

use crate::config::Config;
use crate::wire::header::Header;
use crate::wire::message::Message;
use crate::zone::{self, Place};
use crate::{Label, podip};

/// The namespace and the address in a question for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskedPod {
    /// The namespace, which need not exist.
    pub namespace: Label,
    /// The address, which need not belong to a pod.
    pub address: IpAddr,
}

/// Returns the namespace and the address in the question of a query; `None` if the name is not of the form
/// `<dashed address>.<namespace>` in one of the zones. All spellings of an address return the same.
#[must_use]
pub fn asked_pod(config: &Config<'_>, query: &[u8]) -> Option<AskedPod> {
    let header = Header::read(query)?;
    let mut message = Message::new(&header);
    message.read_question(query);
    let question = message.question?;
    let (_, Place::Pod { label, namespace }) = zone::locate_out_of_line(config.zones, question.name)? else {
        return None;
    };
    Some(AskedPod { namespace: Label::from_wire(namespace)?, address: podip::parse(label)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, Zone};

    fn asked(name: &[u8]) -> Option<AskedPod> {
        let zones = [Zone::new("cluster.local").ok()?];
        let mut query = [0; 128];
        query.get_mut(5).map(|count| *count = 1)?;
        let end = name.len().checked_add(12)?;
        query.get_mut(12..end)?.copy_from_slice(name);
        asked_pod(&Config::new(Mode::Insecure, &zones), query.get(..end.checked_add(4)?)?)
    }

    #[test]
    fn spellings_of_an_address_are_equal() {
        let address = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 7]);
        let expected = Label::from_wire(b"web").map(|namespace| AskedPod { namespace, address });
        assert!(expected.is_some());
        for label in [&b"\x07fd00--7"[..], b"\x07FD00--7", b"\x16fd00-0-0-0-0-0-0000-07"] {
            let name = [label, b"\x03Web\x03pod\x07cluster\x05local\0"].concat();
            assert_eq!(asked(&name), expected, "{name:?}");
        }
        for other in
            [&b"\x03web\x03pod\x07cluster\x05local\0"[..], b"\x05web-0\x03web\x03pod\x07cluster\x05local\0"]
        {
            assert_eq!(asked(other), None);
        }
        assert_eq!(asked(b"\x0810-0-0-1\x03web\x07example\x03com\0"), None);
        assert_eq!(asked_pod(&Config::new(Mode::Insecure, &[]), &[0; 11]), None);
    }
}
