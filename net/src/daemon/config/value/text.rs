//! Names, paths and other texts.

use std::path::{Path, PathBuf};

use poddns_core::{Config, Label, Name, Zone};

use super::{ValueError, ValueKind, show_or_off};
use crate::daemon::privileges::RunAs;
use crate::version::VERSION;

/// Maximum number of octets of a text in a TXT record (RFC 1035 3.3).
const MAX_TXT: usize = 255;

pub(in crate::daemon::config) const DOMAIN: ValueKind<Zone> = ValueKind {
    placeholder: "DOMAIN",
    allowed: "domain names such as cluster.local",
    parse: |text| Ok(Zone::new(text)?),
    show: |zone| {
        let text = zone.domain().to_string();
        text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
    },
};

pub(in crate::daemon::config) const NS_NAME: ValueKind<Name> = ValueKind {
    placeholder: "NAME",
    allowed: "the domain name of a name server",
    parse: |text| Ok(text.parse()?),
    show: ToString::to_string,
};

pub(in crate::daemon::config) const NAMESPACE: ValueKind<Label> = ValueKind {
    placeholder: "NAME",
    allowed: "namespace names: 1 to 63 of a-z, 0-9 and '-'",
    parse: |text| Ok(text.parse()?),
    show: ToString::to_string,
};

pub(in crate::daemon::config) const CONTEXT: ValueKind<String> = ValueKind {
    placeholder: "NAME",
    allowed: "the name of a context in the kubeconfig",
    parse: not_empty,
    show: Clone::clone,
};

const PATH: ValueKind<PathBuf> = ValueKind {
    placeholder: "FILE",
    allowed: "the path of a file",
    parse: |text| Ok(not_empty(text)?.into()),
    show: |path| path.display().to_string(),
};

pub(in crate::daemon::config) const KUBECONFIG: ValueKind<PathBuf> =
    ValueKind { allowed: "the path of a kubeconfig file", ..PATH };

pub(in crate::daemon::config) const PODS_FILE: ValueKind<PathBuf> =
    ValueKind { allowed: "the path of `kubectl get pods -A -o json` (or yaml) output", ..PATH };

pub(in crate::daemon::config) const COOKIE_SECRET_FILE: ValueKind<PathBuf> =
    ValueKind { allowed: "the path of a file with one or two lines of 32 hexadecimal digits", ..PATH };

pub(in crate::daemon::config) const KEY_FILE: ValueKind<PathBuf> = ValueKind {
    allowed: "the path of a key file as tsig-keygen writes it, with hmac-sha256, hmac-sha384 or hmac-sha512",
    ..PATH
};

pub(in crate::daemon::config) const FILE_TO_WRITE: ValueKind<PathBuf> = ValueKind {
    allowed: "the path of a file in a folder that can be written, other than /",
    parse: file_to_write,
    ..PATH
};

pub(in crate::daemon::config) const USER: ValueKind<RunAs> = ValueKind {
    placeholder: "NAME[:GROUP]",
    allowed: "a user and, after a colon, a group: names or numbers",
    parse: |text| Ok(text.parse()?),
    show: ToString::to_string,
};

/// Name server identifier.
pub(in crate::daemon::config) const NSID: ValueKind<Option<String>> = ValueKind {
    placeholder: "TEXT",
    allowed: "off, hostname, or a text of at most 128 octets",
    parse: |text| identity(text, Config::MAX_NSID),
    show: |text| show_or_off(text.as_ref(), Clone::clone),
};

/// Answer of `id.server`.
pub(in crate::daemon::config) const CHAOS_ID: ValueKind<Option<String>> = ValueKind {
    allowed: "off, hostname, or a text of at most 255 octets",
    parse: |text| identity(text, MAX_TXT),
    ..NSID
};

/// Answer of `version.server`.
pub(in crate::daemon::config) const CHAOS_VERSION: ValueKind<Option<String>> = ValueKind {
    allowed: "off, auto (name and version of this program), or a text of at most 255 octets",
    parse: |text| match text {
        "off" => Ok(None),
        "auto" => Ok(Some(format!("poddns {VERSION}"))),
        _ => bounded(not_empty(text)?, MAX_TXT).map(Some),
    },
    ..NSID
};

/// Parses `off`, `hostname` (the name of this host), or another text.
fn identity(text: &str, max: usize) -> Result<Option<String>, ValueError> {
    let text = match text {
        "off" => return Ok(None),
        "hostname" => {
            let name =
                nix::unistd::gethostname().map_err(|error| format!("cannot be determined: {error}"))?;
            name.into_string().map_err(|_| "is not UTF-8 on this host")?
        }
        text => not_empty(text)?,
    };
    bounded(text, max).map(Some)
}

fn bounded(text: String, max: usize) -> Result<String, ValueError> {
    if text.len() > max { Err(format!("has {} octets", text.len()).into()) } else { Ok(text) }
}

fn not_empty(text: &str) -> Result<String, ValueError> {
    if text.is_empty() { Err("is empty".into()) } else { Ok(text.to_owned()) }
}

/// Parses the path of a file that is replaced by a temporary file in the same directory. That directory must not be the
/// root, since Landlock would then have to allow writing everywhere.
fn file_to_write(text: &str) -> Result<PathBuf, ValueError> {
    let path = PathBuf::from(not_empty(text)?);
    if path.file_name().is_none() || text.ends_with('/') {
        return Err("names no file".into());
    }
    // A relative path is in the root directory if the working directory is the root.
    let absolute = std::path::absolute(&path).map_err(|error| format!("has no directory: {error}"))?;
    if absolute.parent() == Some(Path::new("/")) {
        return Err("is in the root folder".into());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_to_write_has_a_folder() {
        for text in ["snapshot", "./snapshot", "/var/lib/poddns/snapshot", "state/snapshot"] {
            assert_eq!(file_to_write(text).unwrap(), Path::new(text));
        }
        for text in ["/", "..", "/var/lib/poddns/", ""] {
            assert!(file_to_write(text).is_err(), "{text}");
        }
        assert_eq!(file_to_write("/snapshot").unwrap_err().to_string(), "is in the root folder");
    }
}
