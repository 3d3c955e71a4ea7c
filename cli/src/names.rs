//! `poddns name` and `poddns ip`: conversion between a pod's address and its name.

mod why;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use hickory_proto::rr::Name;
use poddns_core::podip::{self, PodIpLabel};
use poddns_core::{Label, LabelError, NameError, Zone};
use thiserror::Error;

use self::why::NotDashed;
use crate::outcome::{CommandError, note, print};
use crate::text::{NameTextError, parse_name, show_name, show_text};

/// The command line of `poddns name`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  poddns name 10.42.2.46                            10-42-2-46.default.pod.cluster.local
  poddns name fd00:10:244::7 --namespace web        fd00-10-244--7.web.pod.cluster.local
  poddns name --label ::1                           0--1

The name is printed whether or not a pod has the address: `poddns query` queries a server.")]
pub(crate) struct NameArgs {
    /// Addresses of pods
    #[arg(required = true, value_name = "IP")]
    addresses: Vec<PodAddress>,
    /// The pod's namespace; may be repeated, for one name each
    #[arg(long, short, value_name = "NS", default_value = "default", value_parser = namespace)]
    namespace: Vec<Label>,
    /// The cluster domain; may be repeated, for one name each
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    domain: Vec<DomainArg>,
    /// Print the first label alone
    #[arg(long, conflicts_with_all = ["namespace", "domain"])]
    label: bool,
}

/// The command line of `poddns ip`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  poddns ip 10-42-2-46.default.pod.cluster.local    10.42.2.46
  poddns ip fd00-10-244--7                          fd00:10:244::7
  poddns ip FD00-0-0-0-0-0-0-0001                   fd00::1

Exit status: 1 if the name holds no address, 64 if it is not a domain name.")]
pub(crate) struct IpArgs {
    /// Names of pods, or their first labels alone
    // `--1` is an address.
    #[arg(required = true, value_name = "NAME", allow_hyphen_values = true)]
    names: Vec<String>,
}

/// An address that a pod can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PodAddress(IpAddr);

/// Reason why an argument cannot be converted to a name.
#[derive(Debug, PartialEq, Eq, Error)]
enum AddressError {
    #[error("not an IP address; give one such as 10.42.2.46 or fd00::7")]
    NotAnAddress,
    #[error("'%{0}' is a zone, which a name cannot hold and another host cannot use")]
    Zone(String),
    #[error("a range, not an address; give the address without '/{0}'")]
    Range(String),
    #[error("this is dashed already; `poddns ip` gives its address")]
    Dashed,
    #[error("an IPv4-mapped address, which is never answered; give {0}")]
    Mapped(std::net::Ipv4Addr),
}

impl FromStr for PodAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(mapped) => Err(AddressError::Mapped(mapped)),
                None => Ok(Self(address.into())),
            },
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(why_no_address(text)),
        }
    }
}

fn why_no_address(text: &str) -> AddressError {
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    match (text.split_once('%'), text.split_once('/')) {
        (Some((address, zone)), _) if is_address(address) => AddressError::Zone(zone.to_owned()),
        (_, Some((address, prefix))) if is_address(address) => AddressError::Range(prefix.to_owned()),
        _ if podip::parse(text.split('.').next().unwrap_or_default().as_bytes()).is_some() => {
            AddressError::Dashed
        }
        _ => AddressError::NotAnAddress,
    }
}

/// A cluster domain, without a trailing dot.
#[derive(Clone, Debug)]
pub(crate) struct DomainArg(pub(crate) String);

impl FromStr for DomainArg {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Zone::new(text)?;
        Ok(Self(text.strip_suffix('.').unwrap_or(text).to_owned()))
    }
}

fn namespace(text: &str) -> Result<Label, LabelError> {
    text.parse()
}

/// Runs `poddns name`: returns the names, one per line.
pub(crate) fn name(args: &NameArgs) -> Result<String, CommandError> {
    let mut text = String::new();
    for &PodAddress(address) in &args.addresses {
        let label = PodIpLabel::from(address);
        if args.label {
            let _ = writeln!(text, "{label}");
            continue;
        }
        for namespace in &args.namespace {
            for DomainArg(domain) in &args.domain {
                let name = pod_name(label, namespace.as_str(), domain)?;
                let name = show_name(&name);
                let _ = writeln!(text, "{}", name.strip_suffix('.').unwrap_or(&name));
            }
        }
    }
    Ok(text)
}

/// Reason why these parts do not form a valid name.
#[derive(Debug, Error)]
#[error("'{}' {source}", show_text(.text))]
struct PodNameError {
    text: String,
    source: NameTextError,
}

/// Returns the name of an address in a namespace of a cluster domain. Fails if it is too long.
pub(crate) fn pod_name(label: PodIpLabel, namespace: &str, domain: &str) -> Result<Name, CommandError> {
    let text = format!("{label}.{namespace}.pod.{domain}");
    parse_name(&text).map_err(|source| CommandError::usage(PodNameError { text, source }))
}

/// Reason why a name does not contain an address.
#[derive(Debug, PartialEq, Eq, Error)]
enum IpError {
    #[error("'{0}' is an address already; `poddns name` gives its name")]
    Address(IpAddr),
    #[error("'{}' is not a domain name: it {source}", show_text(.name))]
    NotAName { name: String, source: NameTextError },
    #[error("'{}' holds no address: its first label {source}", show_text(.name))]
    NotDashed { name: String, source: NotDashed },
}

impl From<IpError> for CommandError {
    fn from(error: IpError) -> Self {
        match error {
            IpError::NotDashed { .. } => Self::run(error),
            IpError::Address(_) | IpError::NotAName { .. } => Self::usage(error),
        }
    }
}

/// Runs `poddns ip`: prints the addresses, one per line. Continues after a name without an address; the exit status
/// is that of the first failure.
pub(crate) fn ip(args: &IpArgs) -> Result<ExitCode, CommandError> {
    let mut text = String::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match address_in(name) {
            Ok(address) => {
                let _ = writeln!(text, "{address}");
                if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
                    note(&format!("'{}' is IPv4-mapped: no server answers this name", show_text(name)));
                }
            }
            Err(error) => failures.push(CommandError::from(error)),
        }
    }
    print(&text)?;
    for failure in &failures {
        note(&failure.to_string());
    }
    Ok(failures.first().map_or(ExitCode::SUCCESS, CommandError::exit_code))
}

/// Returns the address that the first label of a name spells.
fn address_in(name: &str) -> Result<IpAddr, IpError> {
    if let Ok(address) = name.parse() {
        return Err(IpError::Address(address));
    }
    let parsed = parse_name(name).map_err(|source| IpError::NotAName { name: name.to_owned(), source })?;
    let label = parsed.iter().next().unwrap_or_default();
    podip::parse(label)
        .ok_or_else(|| IpError::NotDashed { name: name.to_owned(), source: why::not_dashed(label) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn args(address: IpAddr) -> NameArgs {
        NameArgs {
            addresses: vec![PodAddress(address)],
            namespace: vec!["default".parse().expect("a label")],
            domain: vec![DomainArg("cluster.local".to_owned())],
            label: false,
        }
    }

    #[test]
    fn refused_addresses_have_reasons() {
        let cases = [
            ("10.42.2", AddressError::NotAnAddress),
            ("010.1.1.1", AddressError::NotAnAddress),
            ("fe80::1%eth0", AddressError::Zone("eth0".to_owned())),
            ("10.42.2.0/24", AddressError::Range("24".to_owned())),
            ("10-42-2-46", AddressError::Dashed),
            ("fd00--7.web.pod.cluster.local", AddressError::Dashed),
            ("::ffff:10.42.2.46", AddressError::Mapped([10, 42, 2, 46].into())),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<PodAddress>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_name_too_long_is_refused() {
        let mut args = args([255; 4].into());
        let domain = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(40));
        args.domain = vec![domain.parse().expect("a domain of 233 octets")];
        assert!(matches!(name(&args), Err(CommandError::Usage(why)) if why.to_string().contains("255")));
    }

    proptest! {
        #[test]
        fn names_of_addresses_parse_back(address: IpAddr) {
            let name = name(&args(address)).expect("a short domain");
            prop_assert_eq!(address_in(name.trim_end()), Ok(address));
        }

        #[test]
        fn a_label_without_address_gets_a_reason(label in "[-0-9a-fg]{0,45}") {
            // Every label must have a specific reason.
            if podip::parse(label.as_bytes()).is_none() && label.len() < 64 && !label.is_empty() {
                let error = address_in(&label).expect_err("no address");
                prop_assert!(error.to_string().contains("first label"), "{}", error);
                prop_assert_ne!(why::not_dashed(label.as_bytes()), NotDashed::Other, "{}", label);
            }
        }
    }
}
