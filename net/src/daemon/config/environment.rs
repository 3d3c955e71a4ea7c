//! Environment variables with the prefix `PODDNS_` that are not settings.

use std::ffi::OsString;
use std::fmt;

use super::options;

/// A `PODDNS_*` environment variable that is not a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Name of the variable.
    pub name: String,
    /// The variable with the most similar name.
    pub meant: Option<String>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is ignored: no setting has this name", self.name)?;
        self.meant.iter().try_for_each(|meant| write!(f, "; did you mean {meant}?"))
    }
}

/// Returns the names with the prefix `PODDNS_` that are not settings, and so are probably misspelt. Ignores the
/// variables that the kubelet sets for Services with names that begin with `poddns`.
#[must_use]
pub fn unknown_variables(names: impl IntoIterator<Item = OsString>) -> Vec<UnknownVariable> {
    let names = names.into_iter().map(|name| name.to_string_lossy().into_owned());
    let ours = names.filter(|name| name.starts_with("PODDNS_") && name != "PODDNS_CONFIG");
    let unknown = ours.filter(|name| !is_setting(name) && !is_service(name));
    let with_hint = |name: String| {
        let key = name.trim_start_matches("PODDNS_").to_ascii_lowercase();
        let meant = options::nearest(&key).map(options::variable);
        UnknownVariable { name, meant }
    };
    let mut all: Vec<UnknownVariable> = unknown.map(with_hint).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn is_setting(name: &str) -> bool {
    options::all().any(|option| options::variable(option.name) == name)
}

/// Returns true for the names of variables that the kubelet sets for each Service: `PODDNS_SERVICE_HOST`,
/// `PODDNS_SERVICE_PORT_DNS`, `PODDNS_PORT`, `PODDNS_PORT_53_UDP_ADDR`.
fn is_service(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').skip(1).collect();
    let is_port = |port: &str, protocol: &str| {
        port.parse::<u16>().is_ok() && ["TCP", "UDP", "SCTP"].contains(&protocol)
    };
    (0..words.len()).any(|at| match words[at..] {
        ["SERVICE", "HOST"] | ["PORT"] | ["SERVICE", "PORT", ..] => true,
        ["PORT", port, protocol] | ["PORT", port, protocol, "PROTO" | "PORT" | "ADDR"] => {
            is_port(port, protocol)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(names: &[&str]) -> Vec<String> {
        unknown_variables(names.iter().map(OsString::from)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn misspelt_setting_is_found() {
        let found = unknown(&["PATH", "PODDNS_TTL", "PODDNS_CONFIG", "PODDNS_POD_CIDRS", "PODDNS_BOGUS"]);
        let expected = [
            "\"PODDNS_BOGUS\" is ignored: no setting has this name",
            "\"PODDNS_POD_CIDRS\" is ignored: no setting has this name; did you mean PODDNS_POD_CIDR?",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn variables_of_services_are_no_settings() {
        let services = [
            "PODDNS_SERVICE_HOST",
            "PODDNS_SERVICE_PORT",
            "PODDNS_SERVICE_PORT_DNS_TCP",
            "PODDNS_PORT",
            "PODDNS_PORT_53_UDP",
            "PODDNS_PORT_53_UDP_ADDR",
            "PODDNS_PORT_53_TCP_PROTO",
            "PODDNS_ADMIN_SERVICE_HOST",
            "PODDNS_ADMIN_PORT_8053_TCP_PORT",
        ];
        assert_eq!(unknown(&services), Vec::<String>::new());
        assert_eq!(unknown(&["PODDNS_PORT_X", "PODDNS_PORT_53_X"]).len(), 2);
    }
}
