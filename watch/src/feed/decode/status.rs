//! `Status` of `meta/v1`, by which an API server reports a failure.

use serde::Deserialize;

use super::error::cut;

/// A failure reported by the API server.
///
/// The texts are from outside, so they must be quoted when shown. The message is truncated to
/// [`MAX_MESSAGE`](Self::MAX_MESSAGE) characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// One word in camel case, such as `Expired`; may be empty.
    pub reason: String,
    /// The human-readable text; may be empty.
    pub message: String,
    /// Seconds to wait before the next attempt.
    pub retry_after_seconds: Option<u32>,
    /// With code 410: the token with which a paged list can continue inconsistently.
    pub continue_token: Option<String>,
}

impl Status {
    /// Maximum length of the message, in characters.
    pub const MAX_MESSAGE: usize = 1024;
    /// Maximum length of the reason, in characters.
    const MAX_REASON: usize = 64;

    /// Returns a status from fields in either encoding.
    pub(super) fn new(code: i64, reason: &str, message: &str, retry_after: i64, token: String) -> Self {
        Self {
            code: u16::try_from(code).unwrap_or_default(),
            reason: cut(reason, Self::MAX_REASON),
            message: cut(message, Self::MAX_MESSAGE),
            retry_after_seconds: u32::try_from(retry_after).ok().filter(|seconds| *seconds > 0),
            continue_token: (!token.is_empty()).then_some(token),
        }
    }
}

/// A status in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct JsonStatus {
    metadata: Option<JsonStatusMeta>,
    code: Option<i64>,
    reason: Option<String>,
    message: Option<String>,
    details: Option<JsonStatusDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonStatusMeta {
    #[serde(rename = "continue")]
    token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonStatusDetails {
    #[serde(rename = "retryAfterSeconds")]
    retry_after: Option<i64>,
}

impl From<JsonStatus> for Status {
    fn from(raw: JsonStatus) -> Self {
        let retry_after = raw.details.and_then(|details| details.retry_after).unwrap_or_default();
        let token = raw.metadata.and_then(|metadata| metadata.token).unwrap_or_default();
        let [reason, message] = [raw.reason, raw.message].map(Option::unwrap_or_default);
        Self::new(raw.code.unwrap_or_default(), &reason, &message, retry_after, token)
    }
}
