//! Pods as a real server sent them, with the fields in which pods differ left open.

use std::sync::LazyLock;

use super::objects::Pod;

/// A pod as kube-apiserver 1.36 sent it, without line feeds, with `{{field}}` where pods differ.
const JSON: &str = include_str!("../../data/pod.json");
/// The same pod in protobuf. The count of restarts, a number, is [`RESTARTS`].
const PROTOBUF: &[u8] = include_bytes!("../../data/pod.pb");
/// Stands for `{{restarts}}` in protobuf.
const RESTARTS: u64 = 7_777_777;

/// A field in which pods differ.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// Kind and API version in JSON, which items of a list do not have.
    Kind,
    Name,
    Namespace,
    Uid,
    Version,
    Address,
    Restarts,
}

impl Field {
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

/// The fields of one pod.
#[derive(Debug)]
pub(super) struct Values {
    kind: &'static str,
    name: String,
    namespace: String,
    uid: String,
    version: String,
    address: String,
    restarts: Vec<u8>,
}

impl Values {
    /// Those of a pod in JSON.
    pub(super) fn json(pod: &Pod, has_kind: bool) -> Self {
        let kind = if has_kind { "\"kind\":\"Pod\",\"apiVersion\":\"v1\"," } else { "" };
        Self::new(pod, kind, pod.restarts().to_string().into_bytes())
    }

    /// Those of a pod in protobuf.
    pub(super) fn protobuf(pod: &Pod) -> Self {
        let mut restarts = Vec::new();
        write_varint(u64::from(pod.restarts()), &mut restarts);
        Self::new(pod, "", restarts)
    }

    fn new(pod: &Pod, kind: &'static str, restarts: Vec<u8>) -> Self {
        Self {
            kind,
            name: pod.name(),
            namespace: pod.namespace(),
            uid: pod.uid(),
            version: pod.version().to_string(),
            address: pod.address().to_string(),
            restarts,
        }
    }

    fn get(&self, field: Field) -> &[u8] {
        match field {
            Field::Kind => self.kind.as_bytes(),
            Field::Name => self.name.as_bytes(),
            Field::Namespace => self.namespace.as_bytes(),
            Field::Uid => self.uid.as_bytes(),
            Field::Version => self.version.as_bytes(),
            Field::Address => self.address.as_bytes(),
            Field::Restarts => &self.restarts,
        }
    }
}

#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    Field(Field),
    /// Parts with their length before them, as protobuf writes messages and strings.
    Delimited(Vec<Part>),
}

/// A pod with its fields left open.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

impl Template {
    /// The pod in JSON.
    pub(super) fn json() -> &'static Self {
        static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
            let members = JSON.trim_end().strip_prefix('{').expect("an object");
            let mut parts = vec![Part::Bytes(b"{".to_vec()), Part::Field(Field::Kind)];
            parts.extend(text(members.as_bytes()));
            Template(parts)
        });
        &TEMPLATE
    }

    /// The pod in protobuf.
    pub(super) fn protobuf() -> &'static Self {
        static TEMPLATE: LazyLock<Template> =
            LazyLock::new(|| Template(message(PROTOBUF).expect("a message")));
        &TEMPLATE
    }

    /// The size of a pod, in bytes.
    pub(super) fn size(&self, values: &Values) -> usize {
        size(&self.0, values)
    }

    /// Appends a pod.
    pub(super) fn write(&self, values: &Values, out: &mut Vec<u8>) {
        write(&self.0, values, out);
    }
}

fn size(parts: &[Part], values: &Values) -> usize {
    let size = |part: &Part| match part {
        Part::Bytes(bytes) => bytes.len(),
        Part::Field(field) => values.get(*field).len(),
        Part::Delimited(parts) => delimited(size(parts, values)),
    };
    parts.iter().map(size).sum()
}

fn write(parts: &[Part], values: &Values, out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(bytes),
            Part::Field(field) => out.extend_from_slice(values.get(*field)),
            Part::Delimited(parts) => {
                write_varint(size(parts, values) as u64, out);
                write(parts, values, out);
            }
        }
    }
}

/// The parts of text with fields.
fn text(bytes: &[u8]) -> Vec<Part> {
    let text = std::str::from_utf8(bytes).expect("text");
    let mut pieces = text.split("{{");
    let mut parts: Vec<Part> = pieces.next().map(|first| Part::Bytes(first.into())).into_iter().collect();
    for piece in pieces {
        let (field, text) = piece.split_once("}}").expect("a field ends");
        parts.extend([Part::Field(Field::parse(field)), Part::Bytes(text.into())]);
    }
    parts
}

/// The parts of a message; `None` if the bytes are none, but text.
fn message(mut bytes: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let begin = bytes;
        let key = read_varint(&mut bytes)?;
        match (key & 7, key >> 3) {
            (_, 0) => return None,
            (0, _) => {
                let header = begin[..begin.len() - bytes.len()].to_vec();
                if read_varint(&mut bytes)? == RESTARTS {
                    parts.extend([Part::Bytes(header), Part::Field(Field::Restarts)]);
                } else {
                    parts.push(Part::Bytes(begin[..begin.len() - bytes.len()].to_vec()));
                }
            }
            (2, _) => {
                let header = begin[..begin.len() - bytes.len()].to_vec();
                let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                parts.push(Part::Bytes(header));
                parts.push(Part::Delimited(message(value).unwrap_or_else(|| leaf(value))));
            }
            _ => return None,
        }
    }
    Some(merged(parts))
}

fn leaf(value: &[u8]) -> Vec<Part> {
    if value.windows(2).any(|pair| pair == b"{{") { text(value) } else { vec![Part::Bytes(value.to_vec())] }
}

/// Joins what is fixed, so that a pod is written with few copies.
fn merged(parts: Vec<Part>) -> Vec<Part> {
    let mut merged: Vec<Part> = Vec::new();
    for part in parts {
        let fixed = match part {
            Part::Delimited(inner) => match <[Part; 1]>::try_from(inner) {
                Ok([Part::Bytes(bytes)]) => {
                    let mut fixed = Vec::new();
                    write_varint(bytes.len() as u64, &mut fixed);
                    fixed.extend(bytes);
                    Part::Bytes(fixed)
                }
                Ok(one) => Part::Delimited(one.into()),
                Err(inner) if inner.is_empty() => Part::Bytes(vec![0]),
                Err(inner) => Part::Delimited(inner),
            },
            other => other,
        };
        match (merged.last_mut(), fixed) {
            (Some(Part::Bytes(last)), Part::Bytes(bytes)) => last.extend(bytes),
            (_, part) => merged.push(part),
        }
    }
    merged
}

/// The size of a value with its length before it, in bytes.
pub(super) fn delimited(size: usize) -> usize {
    let mut length = Vec::new();
    write_varint(size as u64, &mut length);
    length.len() + size
}

/// Appends an integer as protobuf does.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
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
