//! Reasons why a label is not a dashed address, which the parser on the query path does not report.

use thiserror::Error;

/// Number of groups in an IPv4 and in an IPv6 address.
const V4_GROUPS: usize = 4;
const V6_GROUPS: usize = 8;

/// Reason why a label is not an address.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum NotDashed {
    #[error("is the root")]
    Root,
    #[error("has the character {0:?}, which is in no address")]
    Character(char),
    #[error("has the number {0}, above the 255 of an IPv4 address")]
    Above255(String),
    #[error("has the number {0} with a leading zero, which an IPv4 address may not have")]
    LeadingZero(String),
    #[error("has the group '{0}' of more than four hexadecimal digits")]
    LongGroup(String),
    #[error("is an IPv4 address with ':', which only IPv6 may have: write '-'")]
    ColonInIpv4,
    #[error("has '--' more than once, so the number of zeros of each is unknown")]
    TwoGaps,
    #[error("begins or ends with a single dash")]
    OuterDash,
    #[error("has {0} groups; an IPv4 address has 4, an IPv6 address 8, or fewer and one '--'")]
    Groups(usize),
    #[error("has {0} groups beside its '--'; an IPv6 address has at most 7")]
    TooManyGroups(usize),
    #[error("is not a dashed address")]
    Other,
}

/// Returns the reason why [`poddns_core::podip::parse`] rejects a label.
pub(super) fn not_dashed(label: &[u8]) -> NotDashed {
    if label.is_empty() {
        return NotDashed::Root;
    }
    let stray = label.iter().find(|octet| !octet.is_ascii_hexdigit() && !matches!(octet, b'-' | b':'));
    if let Some(&stray) = stray {
        return NotDashed::Character(char::from(stray));
    }
    // Only hexadecimal digits, dashes and colons: ASCII.
    let text = String::from_utf8_lossy(label);
    let label = text.replace(':', "-");
    let groups: Vec<&str> = label.split('-').collect();
    if groups.len() == V4_GROUPS && groups.iter().all(|group| is_decimal(group)) {
        return if text.contains(':') { NotDashed::ColonInIpv4 } else { not_ipv4(&groups) };
    }
    not_ipv6(&label)
}

fn is_decimal(group: &str) -> bool {
    !group.is_empty() && group.bytes().all(|octet| octet.is_ascii_digit())
}

fn not_ipv4(groups: &[&str]) -> NotDashed {
    let owned = |group: &&str| (*group).to_owned();
    let zero = groups.iter().find(|group| group.len() > 1 && group.starts_with('0'));
    let above = groups.iter().find(|group| group.parse::<u8>().is_err());
    zero.map(owned)
        .map(NotDashed::LeadingZero)
        .or_else(|| above.map(owned).map(NotDashed::Above255))
        .unwrap_or(NotDashed::Other)
}

fn not_ipv6(label: &str) -> NotDashed {
    let (head, tail) = label.split_once("--").map_or((label, None), |(head, tail)| (head, Some(tail)));
    let begins = head.starts_with('-') || (tail.is_none() && head.ends_with('-'));
    let ends = tail.is_some_and(|tail| tail.ends_with('-') || tail.starts_with('-'));
    if tail.is_some_and(|tail| tail.contains("--") || tail.starts_with('-')) {
        return NotDashed::TwoGaps;
    }
    if begins || ends {
        return NotDashed::OuterDash;
    }
    let groups = || label.split('-').filter(|group| !group.is_empty());
    if let Some(long) = groups().find(|group| group.len() > 4) {
        return NotDashed::LongGroup(long.to_owned());
    }
    match (tail, groups().count()) {
        (None, V6_GROUPS) => NotDashed::Other,
        (None, count) => NotDashed::Groups(count),
        (Some(_), count) if count >= V6_GROUPS => NotDashed::TooManyGroups(count),
        (Some(_), _) => NotDashed::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_named() {
        let cases = [
            ("", NotDashed::Root),
            ("web-0", NotDashed::Character('w')),
            ("1-2-3-4x", NotDashed::Character('x')),
            ("1_2_3_4", NotDashed::Character('_')),
            ("1-2-3-256", NotDashed::Above255("256".to_owned())),
            ("1-2-3-99999999999", NotDashed::Above255("99999999999".to_owned())),
            ("010-1-1-1", NotDashed::LeadingZero("010".to_owned())),
            ("1:2:3:4", NotDashed::ColonInIpv4),
            ("1-2-3:4", NotDashed::ColonInIpv4),
            ("fd00::1::2", NotDashed::TwoGaps),
            ("fd00:1:2", NotDashed::Groups(3)),
            ("1-2-3", NotDashed::Groups(3)),
            ("1-2-3-4-5", NotDashed::Groups(5)),
            ("a-b-c-d", NotDashed::Groups(4)),
            ("fd00000--1", NotDashed::LongGroup("fd00000".to_owned())),
            ("fd00--1--2", NotDashed::TwoGaps),
            ("1---2", NotDashed::TwoGaps),
            ("---", NotDashed::TwoGaps),
            ("-1-2-3", NotDashed::OuterDash),
            ("1-2-3-", NotDashed::OuterDash),
            ("1--2-", NotDashed::OuterDash),
            ("-", NotDashed::OuterDash),
            ("1-2-3-4--5-6-7-8", NotDashed::TooManyGroups(8)),
            ("1-2-3-4-5-6-7-8-9", NotDashed::Groups(9)),
        ];
        for (label, why) in cases {
            assert_eq!(poddns_core::podip::parse(label.as_bytes()), None, "{label:?}");
            assert_eq!(not_dashed(label.as_bytes()), why, "{label:?}");
        }
    }
}
