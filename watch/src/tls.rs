//! Explanations of TLS failures, with the remedy.

use std::error::Error;
use std::io;

use k8s_openapi::jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::quote::QuotedText;

/// Returns the TLS error in the chain of an error's sources.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // `source()` of an I/O error skips the error that it wraps, and returns the source of that one.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => cause(inner),
        None => cause(error.source()?),
    }
}

/// Returns whether the server's certificate was not accepted, so that another CA in the configuration might help.
pub(crate) fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    matches!(cause(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// Returns an explanation of a TLS failure and its remedy; `None` if it was not a TLS failure, or if the library's own
/// text suffices.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let text = match cause(error)? {
        rustls::Error::InvalidCertificate(error) => certificate(error)?,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS: is its URL http:// rather than https://?".to_owned()
        }
        rustls::Error::AlertReceived(alert) => alert_received(*alert)?.to_owned(),
        _ => return None,
    };
    Some(text)
}

fn certificate(error: &CertificateError) -> Option<String> {
    let text = match error {
        // `BadSignature` if the other CA has the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "the server's certificate was not issued by the CA of the configuration: it is another cluster, or its CA \
             was replaced ({error:?})"
        ),
        CertificateError::Other(other) => match other.to_string().as_str() {
            text if text.contains("CaUsedAsEndEntity") => {
                "the server uses a CA certificate as its own, such as a self-signed one made by `openssl req -x509`; \
                 that is not accepted even if the configuration names it as CA: give the server a certificate that \
                 is not a CA certificate (basicConstraints=CA:FALSE) (CaUsedAsEndEntity)"
                    .to_owned()
            }
            text if text.contains("UnsupportedCertVersion") => {
                "the server's certificate is of X.509 version 1, and version 3 is needed (UnsupportedCertVersion)".to_owned()
            }
            _ => return None,
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the server's certificate is for other names: {}; if one of them is right, set it as tls-server-name in \
             the kubeconfig's cluster",
            QuotedText(&error.to_string())
        ),
        // The library's texts contain the present time, so that each attempt would be a new error.
        CertificateError::ExpiredContext { not_after, .. } => {
            let until = time(*not_after);
            format!("the server's certificate has expired, by this host's clock: it was valid until {until}")
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = time(*not_before);
            format!("the server's certificate is not valid yet, by this host's clock: it is valid from {from}")
        }
        _ => return None,
    };
    Some(text)
}

/// Returns a time as in RFC 3339, or as Unix seconds if it cannot be shown so.
fn time(time: UnixTime) -> String {
    let seconds = time.as_secs();
    let shown = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    shown.map_or_else(|| seconds.to_string(), |shown| shown.to_string())
}

fn alert_received(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::CertificateRequired => {
            Some("the server requires a client certificate, and the configuration has none")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::UnsupportedCertificate => {
            Some("the server does not accept our client certificate: it is expired, or of another cluster")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn certificate_dates_do_not_show_present_time() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let text = |error: CertificateError| explain(&rustls::Error::InvalidCertificate(error)).unwrap();
        let expired = |time| text(CertificateError::ExpiredContext { time: at(time), not_after: at(86_400) });
        assert_eq!(expired(90_000), expired(90_001));
        assert!(expired(90_000).ends_with("until 1970-01-02T00:00:00Z"), "{}", expired(90_000));
        let early =
            |time| text(CertificateError::NotValidYetContext { time: at(time), not_before: at(86_400) });
        assert_eq!(early(7), early(8));
        assert!(early(7).ends_with("from 1970-01-02T00:00:00Z"), "{}", early(7));
        assert_eq!(time(at(u64::MAX)), u64::MAX.to_string());
    }
}
