//! `Authorization` headers.

use http::HeaderValue;

/// Returns the header for a bearer token. Removes the white space around the token: token files usually end with a
/// newline.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("the token is empty".to_owned());
    }
    header("Bearer", token)
}

/// Returns an `Authorization` header that is marked as sensitive, so that logs do not show it.
pub(super) fn header(scheme: &str, credentials: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(format!("{scheme} {credentials}")).map_err(|_| {
        "the token has characters that no HTTP header can hold, such as a line break".to_owned()
    })?;
    value.set_sensitive(true);
    Ok(value)
}
