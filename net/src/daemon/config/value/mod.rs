//! Kinds of values: each parses and shows one value.

mod address;
mod choice;
mod number;
mod text;

use std::error::Error;

pub(super) use self::address::{ADMIN, CLIENTS, EXEMPT, FORWARDERS, LISTEN, NETWORK, SECONDARY};
pub(super) use self::choice::{
    HOST_NETWORK, LANDLOCK, LOG_FORMAT, LOGGED_QUERIES, MODE, ON_OFF, SWITCH, VISIBILITY,
};
#[cfg(test)]
pub(super) use self::number::time;
pub(super) use self::number::{
    CONNECTIONS, IDLE_TIMEOUT, IPV4_PREFIX, IPV6_PREFIX, LAME_DUCK, MEBIBYTES, MINUTE_TO_WEEK_OR_OFF,
    NEGATIVE_RATE, RATE, RATE_LIMIT_TABLE, SECOND_TO_DAY, SECOND_TO_WEEK_OR_OFF, SLIP, THREADS, TTL,
    UP_TO_A_MILLION,
};
pub(super) use self::text::{
    CHAOS_ID, CHAOS_VERSION, CONTEXT, COOKIE_SECRET_FILE, DOMAIN, FILE_TO_WRITE, KEY_FILE, KUBECONFIG,
    NAMESPACE, NS_NAME, NSID, PODS_FILE, USER,
};

/// Fault of a value. Its text is a predicate, such as "is out of range" or "has no port".
pub(super) type ValueError = Box<dyn Error + Send + Sync>;

/// A kind of value.
pub(super) struct ValueKind<T> {
    /// Placeholder of the value in the help. If there are few values, it lists them, separated by `|`.
    pub(super) placeholder: &'static str,
    /// Description of the allowed values for errors, the help and the reference.
    pub(super) allowed: &'static str,
    /// Parses a text.
    pub(super) parse: fn(&str) -> Result<T, ValueError>,
    /// Returns the text that [`parse`](Self::parse) accepts for this value.
    pub(super) show: fn(&T) -> String,
}

/// Returns the text of a value, or `off` for none.
fn show_or_off<T>(value: Option<&T>, show: impl Fn(&T) -> String) -> String {
    value.map_or_else(|| "off".to_owned(), show)
}
