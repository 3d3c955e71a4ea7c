//! Values out of a fixed list.

use poddns_core::{Mode, Visibility};
use poddns_watch::HostNetwork;

use super::{ValueError, ValueKind};
use crate::daemon::config::LogFormat;
use crate::daemon::privileges::Landlock;
use crate::server::query_log::LoggedQueries;

/// Names and their values.
type Choices<T> = [(&'static str, T)];

/// Returns the value of a name.
fn find<T: Copy>(choices: &Choices<T>, text: &str) -> Result<T, ValueError> {
    let found = choices.iter().find(|(name, _)| *name == text);
    let wrong = if choices.len() == 2 { "is neither" } else { "is none of these" };
    found.map(|(_, value)| *value).ok_or_else(|| wrong.into())
}

/// Returns the name of a value.
fn name<T: PartialEq>(choices: &Choices<T>, value: &T) -> String {
    let found = choices.iter().find(|(_, known)| known == value);
    found.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}

/// True or false; the bare flag means true.
pub(in crate::daemon::config) const SWITCH: ValueKind<bool> = ValueKind {
    placeholder: "BOOL",
    allowed: "true or false",
    parse: |text| text.parse().map_err(|_| "is neither".into()),
    show: ToString::to_string,
};

/// On or off.
pub(in crate::daemon::config) const ON_OFF: ValueKind<bool> = {
    const CHOICES: &Choices<bool> = &[("off", false), ("on", true)];
    ValueKind {
        placeholder: "off|on",
        allowed: "off or on",
        parse: |text| find(CHOICES, text),
        show: |value| name(CHOICES, value),
    }
};

pub(in crate::daemon::config) const MODE: ValueKind<Mode> = ValueKind {
    placeholder: "disabled|insecure|verified",
    allowed: "disabled, insecure or verified",
    parse: |text| {
        let mode = Mode::ALL.iter().find(|mode| mode.as_str() == text);
        mode.copied().ok_or_else(|| "is not a mode".into())
    },
    show: |mode| mode.as_str().to_owned(),
};

pub(in crate::daemon::config) const VISIBILITY: ValueKind<Visibility> = ValueKind {
    placeholder: "all|namespace",
    allowed: "all or namespace",
    parse: |text| {
        let found = Visibility::ALL.iter().find(|visibility| visibility.as_str() == text);
        found.copied().ok_or_else(|| "is not a visibility".into())
    },
    show: |visibility| visibility.as_str().to_owned(),
};

pub(in crate::daemon::config) const HOST_NETWORK: ValueKind<HostNetwork> = {
    const CHOICES: &Choices<HostNetwork> =
        &[("include", HostNetwork::Include), ("exclude", HostNetwork::Exclude)];
    ValueKind {
        placeholder: "include|exclude",
        allowed: "include or exclude",
        parse: |text| find(CHOICES, text),
        show: |value| name(CHOICES, value),
    }
};

pub(in crate::daemon::config) const LOG_FORMAT: ValueKind<LogFormat> = {
    const CHOICES: &Choices<LogFormat> = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
    ValueKind {
        placeholder: "text|json",
        allowed: "text or json",
        parse: |text| find(CHOICES, text),
        show: |value| name(CHOICES, value),
    }
};

pub(in crate::daemon::config) const LOGGED_QUERIES: ValueKind<Option<LoggedQueries>> = {
    const CHOICES: &Choices<Option<LoggedQueries>> =
        &[("off", None), ("refused", Some(LoggedQueries::Refused)), ("all", Some(LoggedQueries::All))];
    ValueKind {
        placeholder: "off|refused|all",
        allowed: "off, refused (those whose response is not NOERROR) or all",
        parse: |text| find(CHOICES, text),
        show: |value| name(CHOICES, value),
    }
};

pub(in crate::daemon::config) const LANDLOCK: ValueKind<Landlock> = {
    const CHOICES: &Choices<Landlock> =
        &[("off", Landlock::Off), ("on", Landlock::On), ("require", Landlock::Require)];
    ValueKind {
        placeholder: "off|on|require",
        allowed: "off, on (where the kernel has it) or require",
        parse: |text| find(CHOICES, text),
        show: |value| name(CHOICES, value),
    }
};
