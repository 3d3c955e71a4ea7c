//! A pod recorded from a real server, with placeholders for the fields in which generated pods differ.

use std::sync::LazyLock;

use super::generated::GeneratedPod;
use super::protobuf::{delimited, write_varint};

/// A pod as sent by kube-apiserver 1.36, on one line, with `{{field}}` where pods differ.
const JSON: &str = include_str!("../../data/pod.json");
/// The same pod in protobuf. The restart count, a number, is [`RESTARTS`].
const PROTOBUF: &[u8] = include_bytes!("../../data/pod.pb");
/// Placeholder for `{{restarts}}` in protobuf.
const RESTARTS: u64 = 7_777_777;

/// A field in which pods differ.
#[derive(Clone, Copy, Debug)]
enum PodField {
    /// Kind and API version in JSON; absent from items of a list.
    Kind,
    Name,
    Namespace,
    Uid,
    Version,
    Address,
    Restarts,
}

impl PodField {
    fn parse(name: &str) -> Self {
        match name {
            "name" => Self::Name,
            "namespace" => Self::Namespace,
            "uid" => Self::Uid,
            "version" => Self::Version,
            "address" => Self::Address,
            "restarts" => Self::Restarts,
            other => panic!("the template has a field {other}"),
        }
    }
}

/// The values of the fields of one pod.
#[derive(Debug)]
pub(super) struct FieldValues {
    kind: &'static str,
    name: String,
    namespace: String,
    uid: String,
    version: String,
    address: String,
    restarts: Vec<u8>,
}

impl FieldValues {
    /// Returns the values for a pod in JSON.
    pub(super) fn json(pod: &GeneratedPod, has_kind: bool) -> Self {
        let kind = if has_kind { "\"kind\":\"Pod\",\"apiVersion\":\"v1\"," } else { "" };
        Self::new(pod, kind, pod.restarts.to_string().into_bytes())
    }

    /// Returns the values for a pod in protobuf.
    pub(super) fn protobuf(pod: &GeneratedPod) -> Self {
        let mut restarts = Vec::new();
        write_varint(u64::from(pod.restarts), &mut restarts);
        Self::new(pod, "", restarts)
    }

    fn new(pod: &GeneratedPod, kind: &'static str, restarts: Vec<u8>) -> Self {
        Self {
            kind,
            name: pod.name(),
            namespace: pod.namespace(),
            uid: pod.uid(),
            version: pod.version.to_string(),
            address: pod.address().to_string(),
            restarts,
        }
    }

    fn get(&self, field: PodField) -> &[u8] {
        match field {
            PodField::Kind => self.kind.as_bytes(),
            PodField::Name => self.name.as_bytes(),
            PodField::Namespace => self.namespace.as_bytes(),
            PodField::Uid => self.uid.as_bytes(),
            PodField::Version => self.version.as_bytes(),
            PodField::Address => self.address.as_bytes(),
            PodField::Restarts => &self.restarts,
        }
    }
}

#[derive(Debug)]
enum TemplatePart {
    Bytes(Vec<u8>),
    Field(PodField),
    /// Parts with a length prefix, like messages and strings in protobuf.
    Delimited(Vec<TemplatePart>),
}

/// A pod with placeholders for its fields.
#[derive(Debug)]
pub(super) struct PodTemplate(Vec<TemplatePart>);

impl PodTemplate {
    /// Returns the template in JSON.
    pub(super) fn json() -> &'static Self {
        static TEMPLATE: LazyLock<PodTemplate> = LazyLock::new(|| {
            let members = JSON.trim_end().strip_prefix('{').expect("an object");
            let mut parts = vec![TemplatePart::Bytes(b"{".to_vec()), TemplatePart::Field(PodField::Kind)];
            parts.extend(text(members.as_bytes()));
            PodTemplate(parts)
        });
        &TEMPLATE
    }

    /// Returns the template in protobuf.
    pub(super) fn protobuf() -> &'static Self {
        static TEMPLATE: LazyLock<PodTemplate> =
            LazyLock::new(|| PodTemplate(message(PROTOBUF).expect("a message")));
        &TEMPLATE
    }

    /// Returns the size of a pod in bytes.
    pub(super) fn size(&self, values: &FieldValues) -> usize {
        size(&self.0, values)
    }

    /// Appends a pod.
    pub(super) fn write(&self, values: &FieldValues, out: &mut Vec<u8>) {
        write(&self.0, values, out);
    }
}

fn size(parts: &[TemplatePart], values: &FieldValues) -> usize {
    let size = |part: &TemplatePart| match part {
        TemplatePart::Bytes(bytes) => bytes.len(),
        TemplatePart::Field(field) => values.get(*field).len(),
        TemplatePart::Delimited(parts) => delimited(size(parts, values)),
    };
    parts.iter().map(size).sum()
}

fn write(parts: &[TemplatePart], values: &FieldValues, out: &mut Vec<u8>) {
    for part in parts {
        match part {
            TemplatePart::Bytes(bytes) => out.extend_from_slice(bytes),
            TemplatePart::Field(field) => out.extend_from_slice(values.get(*field)),
            TemplatePart::Delimited(parts) => {
                write_varint(size(parts, values) as u64, out);
                write(parts, values, out);
            }
        }
    }
}

/// Returns the parts of a text with placeholders.
fn text(bytes: &[u8]) -> Vec<TemplatePart> {
    let text = std::str::from_utf8(bytes).expect("text");
    let mut pieces = text.split("{{");
    let mut parts: Vec<TemplatePart> =
        pieces.next().map(|first| TemplatePart::Bytes(first.into())).into_iter().collect();
    for piece in pieces {
        let (field, text) = piece.split_once("}}").expect("a field ends");
        parts.extend([TemplatePart::Field(PodField::parse(field)), TemplatePart::Bytes(text.into())]);
    }
    parts
}

/// Returns the parts of a message; `None` if the bytes are not a message, but text.
fn message(mut bytes: &[u8]) -> Option<Vec<TemplatePart>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let begin = bytes;
        let key = read_varint(&mut bytes)?;
        match (key & 7, key >> 3) {
            (_, 0) => return None,
            (0, _) => {
                let header = begin[..begin.len() - bytes.len()].to_vec();
                if read_varint(&mut bytes)? == RESTARTS {
                    parts.extend([TemplatePart::Bytes(header), TemplatePart::Field(PodField::Restarts)]);
                } else {
                    parts.push(TemplatePart::Bytes(begin[..begin.len() - bytes.len()].to_vec()));
                }
            }
            (2, _) => {
                let header = begin[..begin.len() - bytes.len()].to_vec();
                let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                parts.push(TemplatePart::Bytes(header));
                parts.push(TemplatePart::Delimited(message(value).unwrap_or_else(|| leaf(value))));
            }
            _ => return None,
        }
    }
    Some(merged(parts))
}

fn leaf(value: &[u8]) -> Vec<TemplatePart> {
    if value.windows(2).any(|pair| pair == b"{{") {
        text(value)
    } else {
        vec![TemplatePart::Bytes(value.to_vec())]
    }
}

/// Joins adjacent fixed parts, so that a pod is written with few copies.
fn merged(parts: Vec<TemplatePart>) -> Vec<TemplatePart> {
    let mut merged: Vec<TemplatePart> = Vec::new();
    for part in parts {
        let fixed = match part {
            TemplatePart::Delimited(inner) => match <[TemplatePart; 1]>::try_from(inner) {
                Ok([TemplatePart::Bytes(bytes)]) => {
                    let mut fixed = Vec::new();
                    write_varint(bytes.len() as u64, &mut fixed);
                    fixed.extend(bytes);
                    TemplatePart::Bytes(fixed)
                }
                Ok(one) => TemplatePart::Delimited(one.into()),
                Err(inner) if inner.is_empty() => TemplatePart::Bytes(vec![0]),
                Err(inner) => TemplatePart::Delimited(inner),
            },
            other => other,
        };
        match (merged.last_mut(), fixed) {
            (Some(TemplatePart::Bytes(last)), TemplatePart::Bytes(bytes)) => last.extend(bytes),
            (_, part) => merged.push(part),
        }
    }
    merged
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
