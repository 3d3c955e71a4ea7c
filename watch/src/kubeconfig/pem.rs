//! Certificates and keys. They are checked before the TLS library reads them, so that errors name the fault.

use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::AuthInfo;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use secrecy::SecretString;

use super::error::KubeconfigError;
use super::files::{self, MAX_CREDENTIALS};
use super::merge::KubeconfigEntry;
use crate::quote::QuotedText;

/// PEM text in a kubeconfig, or in a file that the kubeconfig names.
#[derive(Clone)]
pub(crate) enum Pem {
    /// Base64 of the text in this field, without white space.
    Inline(&'static str, String),
    /// A file that this field names.
    File(&'static str, PathBuf),
}

impl Pem {
    /// Returns the contents of the field `data` of an entry, or else of the field `file`.
    pub(crate) fn of(
        entry: &KubeconfigEntry,
        data: &'static str,
        file: &'static str,
    ) -> Result<Option<Self>, KubeconfigError> {
        if let Some(text) = entry.text(data)? {
            return Ok(Some(Self::Inline(data, text.split_ascii_whitespace().collect())));
        }
        Ok(entry.path(file)?.map(|path| Self::File(file, path)))
    }

    /// Returns the file to be read, if it is not inline.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        if let Self::File(_, path) = self { Some(path) } else { None }
    }

    /// Returns the certificates in DER, at least one.
    pub(crate) fn certificates(&self, entry: &KubeconfigEntry) -> Result<Vec<Vec<u8>>, KubeconfigError> {
        let content = self.read(entry)?;
        certificates(&content).map_err(|fault| entry.fault(format!("{}: {fault}", self.place())))
    }

    fn private_key(&self, entry: &KubeconfigEntry) -> Result<(SectionKind, Vec<u8>), KubeconfigError> {
        let content = self.read(entry)?;
        private_key(&content).map_err(|fault| entry.fault(format!("{}: {fault}", self.place())))
    }

    fn place(&self) -> String {
        match self {
            Self::Inline(field, _) => (*field).to_owned(),
            Self::File(field, path) => format!("{field} {}", path.display()),
        }
    }

    /// Returns the PEM text.
    pub(crate) fn read(&self, entry: &KubeconfigEntry) -> Result<Vec<u8>, KubeconfigError> {
        match self {
            Self::Inline(field, text) => {
                STANDARD.decode(text).map_err(|source| entry.fault(NotBase64 { field, source }))
            }
            Self::File(what, path) => files::read(path, MAX_CREDENTIALS)
                .map_err(|source| KubeconfigError::Read { what, path: path.clone(), source }),
        }
    }
}

/// Error of a field that should contain base64.
#[derive(Debug, thiserror::Error)]
#[error("{field} is not base64: {source}")]
struct NotBase64 {
    field: &'static str,
    source: base64::DecodeError,
}

/// A client certificate with its chain and private key.
#[derive(Clone)]
pub(crate) struct ClientCertificate {
    chain: Vec<Vec<u8>>,
    key: (SectionKind, Vec<u8>),
}

impl ClientCertificate {
    /// Returns the client certificate of a user entry, if it has one.
    pub(crate) fn of(entry: &KubeconfigEntry) -> Result<Option<Self>, KubeconfigError> {
        let [certificate, key] = Self::parts(entry)?;
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(entry.fault("it has a client certificate, but no client-key")),
            (None, Some(_)) => Err(entry.fault("it has a client key, but no client-certificate")),
            (Some(certificate), Some(key)) => {
                let chain = certificate.certificates(entry)?;
                check_version(&chain)
                    .map_err(|fault| entry.fault(format!("{}: {fault}", certificate.place())))?;
                Ok(Some(Self { chain, key: key.private_key(entry)? }))
            }
        }
    }

    /// Returns the sources of certificate and key of a user entry.
    pub(crate) fn parts(entry: &KubeconfigEntry) -> Result<[Option<Pem>; 2], KubeconfigError> {
        Ok([
            Pem::of(entry, "client-certificate-data", "client-certificate")?,
            Pem::of(entry, "client-key-data", "client-key")?,
        ])
    }

    /// Returns the client certificate for a certificate chain and a key in PEM.
    pub(crate) fn from_pem(certificate: &str, key: &str) -> Result<Self, String> {
        let chain = certificates(certificate.as_bytes())?;
        check_version(&chain)?;
        Ok(Self { chain, key: private_key(key.as_bytes())? })
    }

    /// Sets this as the client certificate of `user`.
    pub(crate) fn put_into(&self, user: &mut AuthInfo) {
        let mut chain = String::new();
        for der in &self.chain {
            encode(&mut chain, "CERTIFICATE", der);
        }
        let mut key = String::new();
        let label = match self.key.0 {
            SectionKind::RsaPrivateKey => "RSA PRIVATE KEY",
            SectionKind::EcPrivateKey => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        encode(&mut key, label, &self.key.1);
        user.client_certificate_data = Some(STANDARD.encode(chain));
        user.client_key_data = Some(SecretString::from(STANDARD.encode(key)));
    }
}

fn encode(text: &mut String, label: &str, der: &[u8]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "-----BEGIN {label}-----\n{}\n-----END {label}-----", STANDARD.encode(der));
}

fn certificates(content: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found: Vec<Vec<u8>> = sections(content)?
        .into_iter()
        .filter_map(|(kind, der)| (kind == SectionKind::Certificate).then_some(der))
        .collect();
    if found.is_empty() {
        Err(format!("there is no certificate in it; {}", describe(content)))
    } else {
        Ok(found)
    }
}

fn private_key(content: &[u8]) -> Result<(SectionKind, Vec<u8>), String> {
    let is_key = |kind| {
        matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
    };
    let found = sections(content)?.into_iter().find(|(kind, _)| is_key(*kind));
    found.ok_or_else(|| format!("there is no private key in it that can be used; {}", describe(content)))
}

fn sections(content: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(content);
    sections
        .collect::<Result<_, _>>()
        .map_err(|_| "its PEM is damaged: a section without end, or not base64".into())
}

/// Returns a description of `content` that lacks the required PEM section, without anything that could be secret.
fn describe(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    if let Some(label) = text.lines().find_map(|line| line.trim_start().strip_prefix("-----BEGIN ")) {
        let label = label.trim_end().trim_end_matches('-');
        let advice = if label.starts_with("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED") {
            "; keys must not be encrypted"
        } else {
            ""
        };
        return format!("it has a section {}{advice}", QuotedText(label));
    }
    match content {
        [] => "it is empty".to_owned(),
        // A SEQUENCE with a length of two bytes, as in every certificate or key.
        [0x30, 0x82, ..] => "it is DER, and PEM (-----BEGIN ...) is needed".to_owned(),
        // "-----BEGIN" in base64.
        _ if text.trim_start().starts_with("LS0tLS1CRUdJTi") => {
            "it is PEM with one base64 encoding too many".to_owned()
        }
        _ => "it is not PEM (-----BEGIN ...)".to_owned(),
    }
}

/// Checks that the TLS library supports the X.509 version of the first certificate of a chain.
fn check_version(chain: &[Vec<u8>]) -> Result<(), String> {
    match chain.first().and_then(|der| version(der)) {
        Some(version @ (1 | 2)) => Err(format!(
            "it is an X.509 version {version} certificate, which TLS does not accept here; it must be reissued \
             as version 3 (with `openssl x509 -req` by `-extfile`; MicroK8s 1.34 made version 1)"
        )),
        Some(_) => Ok(()),
        None => Err("it is not an X.509 certificate".to_owned()),
    }
}

/// Returns the X.509 version of a certificate, from 1; `None` if this is not a certificate (RFC 5280 4.1).
fn version(der: &[u8]) -> Option<u8> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const CONTEXT_0: u8 = 0xa0;
    let inside = |tag, bytes| element(bytes).and_then(|(found, content)| (found == tag).then_some(content));
    let fields = inside(SEQUENCE, inside(SEQUENCE, der)?)?;
    match element(fields)? {
        (CONTEXT_0, version) => inside(INTEGER, version)?.first()?.checked_add(1),
        // "version [0] EXPLICIT Version DEFAULT v1"
        (INTEGER, _) => Some(1),
        _ => None,
    }
}

/// Returns the tag and the content of the DER element at the beginning of `bytes`.
fn element(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f).min(5))?;
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    Some((*tag, rest.get(..length)?))
}
