//! The EDNS Client Subnet option (RFC 7871): the client for which a forwarder sends a query.

use core::net::IpAddr;

use super::edns::option;

/// Length of an option's data in front of the address, in octets: family and the two prefix lengths.
const FIXED: usize = 4;

/// Maximum length of the option, in octets: code, length, and data with an IPv6 address.
pub(crate) const MAX_OPTION: usize = 4 + FIXED + 16;

/// The error for an option that the RFC forbids, or for more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The ECS option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet<'q> {
    data: &'q [u8],
    /// The address of the subnet, if it has only one.
    client: Option<IpAddr>,
}

impl<'q> Subnet<'q> {
    /// Returns the ECS option among the options of an OPT record; `None` if there is none, or if the options do not
    /// fill the data.
    ///
    /// Two of them are malformed: it is not known which one the forwarder added.
    pub(crate) fn find(mut data: &'q [u8]) -> Result<Option<Self>, Malformed> {
        let mut found = None;
        while let Some((&[code0, code1, len0, len1], rest)) = data.split_first_chunk() {
            let len = usize::from(u16::from_be_bytes([len0, len1]));
            let Some((value, rest)) = rest.split_at_checked(len) else { break };
            if u16::from_be_bytes([code0, code1]) == option::CLIENT_SUBNET {
                let subnet = Self::read(value).ok_or(Malformed)?;
                if found.replace(subnet).is_some() {
                    return Err(Malformed);
                }
            }
            data = rest;
        }
        Ok(found)
    }

    /// Reads the data of an option. RFC 7871 6: "A server receiving an ECS option that uses either too few or too
    /// many ADDRESS octets, or that has non-zero ADDRESS bits set beyond SOURCE PREFIX-LENGTH, SHOULD return
    /// FORMERR". On the scope: "In queries, it MUST be set to 0."
    fn read(data: &'q [u8]) -> Option<Self> {
        let (&[family0, family1, source, scope], address) = data.split_first_chunk()?;
        let bits = match u16::from_be_bytes([family0, family1]) {
            1 => 32,
            2 => 128,
            _ => return None,
        };
        let unused = source.wrapping_neg() % 8;
        let beyond = address.last().is_some_and(|last| last.trailing_zeros() < unused.into());
        if source > bits || scope != 0 || address.len() != usize::from(source).div_ceil(8) || beyond {
            return None;
        }
        let client = match address.len() {
            4 if bits == 32 && source == bits => {
                address.first_chunk().map(|octets: &[u8; 4]| IpAddr::from(*octets))
            }
            16 if source == bits => address.first_chunk().map(|octets: &[u8; 16]| IpAddr::from(*octets)),
            _ => None,
        };
        Some(Self { data, client: client.map(|client| client.to_canonical()) })
    }

    /// Returns the client; `None` if the subnet does not have exactly one address.
    pub(crate) const fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Writes the option of a response. Its scope is the source prefix length if the response is for this subnet
    /// only, else 0. Returns the option's length; `None` if there is no room.
    pub(crate) fn write(&self, is_scoped: bool, out: &mut [u8]) -> Option<usize> {
        let (&[family0, family1, source, _], address) = self.data.split_first_chunk()?;
        let ([code0, code1], len) =
            (option::CLIENT_SUBNET.to_be_bytes(), u16::try_from(self.data.len()).ok()?);
        let [len0, len1] = len.to_be_bytes();
        let scope = if is_scoped { source } else { 0 };
        let fixed = [code0, code1, len0, len1, family0, family1, source, scope];
        let (front, rest) = out.split_first_chunk_mut()?;
        *front = fixed;
        for (to, from) in rest.get_mut(..address.len())?.iter_mut().zip(address) {
            *to = *from;
        }
        Some(fixed.len().saturating_add(address.len()))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn whole_addresses_identify_a_client() {
        let v6 = [0, 2, 128, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        let mapped = [0, 2, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
        for (data, client) in [
            (&[0, 1, 32, 0, 10, 0, 0, 1][..], Some("10.0.0.1")),
            (&v6, Some("fd00::7")),
            (&mapped, Some("10.0.0.1")),
            (&[0, 1, 31, 0, 10, 0, 0, 2], None),
            (&[0, 1, 24, 0, 10, 0, 0], None),
            (&[0, 1, 0, 0], None),
            (&[0, 2, 0, 0], None),
        ] {
            let subnet = Subnet::read(data);
            assert!(subnet.is_some(), "{data:?}");
            let expected = client.and_then(|text| text.parse().ok());
            assert_eq!(subnet.and_then(|subnet| subnet.client()), expected, "{data:?}");
        }
    }

    #[test]
    fn bad_families_and_lengths_are_malformed() {
        for data in [
            &[][..],
            &[0, 1, 32],
            &[0, 1, 32, 0, 10, 0, 0],
            &[0, 1, 32, 0, 10, 0, 0, 1, 0],
            &[0, 1, 33, 0, 10, 0, 0, 1, 0],
            &[0, 1, 255, 0, 10, 0, 0, 1],
            &[0, 1, 31, 0, 10, 0, 0, 1],
            &[0, 1, 20, 0, 10, 0, 8],
            &[0, 1, 0, 0, 0],
            &[0, 1, 32, 1, 10, 0, 0, 1],
            &[0, 2, 128, 0, 10, 0, 0, 1],
            &[0, 0, 8, 0, 10],
            &[0, 0, 0, 0],
            &[0, 3, 32, 0, 10, 0, 0, 1],
            &[1, 1, 32, 0, 10, 0, 0, 1],
        ] {
            assert_eq!(Subnet::read(data), None, "{data:?}");
        }
    }

    #[test]
    fn options_are_found_among_others() {
        let one = [0, 8, 0, 8, 0, 1, 32, 0, 10, 0, 0, 1];
        let other = [0, 3, 0, 0];
        let find = |parts: &[&[u8]]| {
            Subnet::find(&parts.concat()).map(|found| found.and_then(|subnet| subnet.client()))
        };
        let client = Ok(Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(find(&[&one]), client);
        assert_eq!(find(&[&other, &one, &other]), client);
        assert_eq!(find(&[&other]), Ok(None));
        assert_eq!(find(&[&one, &one]), Err(Malformed));
        assert_eq!(find(&[&other, &[0, 8, 0, 8, 0]]), Ok(None), "the options do not fill the data");
    }

    #[test]
    fn responses_have_the_source_as_scope() {
        let data = [0, 1, 24, 0, 10, 1, 2];
        let subnet = Subnet::read(&data);
        let write = |is_scoped| {
            let mut out = [0xff; MAX_OPTION];
            let len = subnet.and_then(|subnet| subnet.write(is_scoped, &mut out))?;
            Some((out, len))
        };
        let expected = |scope| [0, 8, 0, 7, 0, 1, 24, scope, 10, 1, 2];
        for (is_scoped, scope) in [(true, 24), (false, 0)] {
            let written = write(is_scoped);
            assert_eq!(written.map(|(_, len)| len), Some(11));
            assert_eq!(written.as_ref().and_then(|(out, _)| out.get(..11)), Some(&expected(scope)[..]));
        }
        assert_eq!(subnet.and_then(|subnet| subnet.write(true, &mut [0; 10])), None);
    }
}
