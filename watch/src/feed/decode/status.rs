//! `Status` of `meta/v1`: how an API server reports a failure.

use serde::Deserialize;

use super::error::cut;

/// A failure, as the API server reports it.
///
/// The texts are from outside, and quoted where they are shown. They are cut after [`MAX_MESSAGE`](Self::MAX_MESSAGE)
/// characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// One word in camel case, such as `Expired`; may be empty.
    pub reason: String,
    /// The text for people; may be empty.
    pub message: String,
    /// Seconds to wait before the next try.
    pub retry_after_seconds: Option<u32>,
    /// With 410: the token with which a list in pages can continue inconsistently.
    pub continue_token: Option<String>,
}

impl Status {
    /// Maximum length of the message, in characters.
    pub const MAX_MESSAGE: usize = 1024;
    /// Maximum length of the reason, in characters.
    const MAX_REASON: usize = 64;

    /// Returns a status of fields that were read in either encoding.
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

/// The JSON of a status.
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
