//! `Authorization` headers.

use http::HeaderValue;

/// Returns the header of a bearer token without the white space around it: tokens are written with a newline
/// at their end more often than not.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("the token is empty".to_owned());
    }
    header("Bearer", token)
}

/// Returns an `Authorization` header, which is not shown in logs.
pub(super) fn header(scheme: &str, credentials: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(format!("{scheme} {credentials}")).map_err(|_| {
        "the token has characters that no HTTP header can hold, such as a line break".to_owned()
    })?;
    value.set_sensitive(true);
    Ok(value)
}
