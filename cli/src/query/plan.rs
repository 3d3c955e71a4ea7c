//! Conversion of command line words to questions and servers.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hickory_proto::rr::{DNSClass, Name, RecordType};
use poddns_core::podip;
use thiserror::Error;

use super::args::ServerArg;
use super::lines::{Lines, MAX_LINE, ReadError};
use super::words::{DigWord, WordError};
use crate::text::{show_path, show_text};

/// One name with its types, or a file of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedSubject {
    pub(super) kind: SubjectKind,
    types: Vec<RecordType>,
    class: Option<DNSClass>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SubjectKind {
    Name(Name),
    Reverse(Name),
    File(PathBuf),
}

/// Questions of a command line or of one line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DigPlan {
    /// Type and class of names without their own.
    types: Vec<RecordType>,
    class: Option<DNSClass>,
    pub(super) subjects: Vec<PlannedSubject>,
    pub(super) servers: Vec<ServerArg>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DigQuestion {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    pub(super) class: DNSClass,
}

/// Reason why a line of a file has no question.
#[derive(Debug, Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{}, line {line}: {source}", show_path(.path))]
    Line { path: PathBuf, line: usize, source: LineMistake },
}

impl LineError {
    /// Returns whether the error is in the line, rather than in reading it.
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::Line { .. })
    }
}

/// The error in a line.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum LineMistake {
    #[error("'{}' is {source}", show_text(.word))]
    Word { word: String, source: WordError },
    #[error("a line has names, types and classes; give '{}' on the command line", show_text(.0))]
    Elsewhere(String),
    #[error("it has a type or class, but no name")]
    NoName,
    #[error("it is longer than {MAX_LINE} octets")]
    Long,
}

impl DigPlan {
    /// Adds a word other than an option; options are ignored.
    pub(super) fn add(&mut self, word: &DigWord) {
        match word {
            DigWord::Name(name) => self.push(SubjectKind::Name(name.clone())),
            DigWord::Reverse(address) => self.push(SubjectKind::Reverse(reverse_name(*address))),
            DigWord::File(path) => self.push(SubjectKind::File(path.clone())),
            DigWord::Type(record_type) => match self.subjects.last_mut() {
                Some(last) => last.types.push(*record_type),
                None => self.types.push(*record_type),
            },
            DigWord::Class(class) => match self.subjects.last_mut() {
                Some(last) => last.class = Some(*class),
                None => self.class = Some(*class),
            },
            DigWord::Server(server) => self.servers.push(server.clone()),
            DigWord::Option(_) => {}
        }
    }

    fn push(&mut self, kind: SubjectKind) {
        self.subjects.push(PlannedSubject { kind, types: Vec::new(), class: None });
    }

    /// Returns the questions of a subject; none for a file.
    pub(super) fn questions(&self, subject: &PlannedSubject) -> Vec<DigQuestion> {
        let (name, usual) = match &subject.kind {
            SubjectKind::Name(name) => (name, &self.types),
            SubjectKind::Reverse(name) => (name, const { &Vec::new() }),
            SubjectKind::File(_) => return Vec::new(),
        };
        let class = subject.class.or(self.class).unwrap_or(DNSClass::IN);
        let mut types = if subject.types.is_empty() { usual.clone() } else { subject.types.clone() };
        if types.is_empty() {
            types.push(match subject.kind {
                SubjectKind::Reverse(_) => RecordType::PTR,
                _ => default_type(name),
            });
        }
        types.into_iter().map(|record_type| DigQuestion { name: name.clone(), record_type, class }).collect()
    }

    /// Returns the questions of a file, line by line as they arrive.
    pub(super) fn in_file<'a>(
        &'a self,
        subject: &'a PlannedSubject,
        path: &'a Path,
    ) -> impl Iterator<Item = Result<Vec<DigQuestion>, LineError>> + 'a {
        let (types, class) = (
            if subject.types.is_empty() { &self.types } else { &subject.types },
            subject.class.or(self.class),
        );
        let (lines, error) = match Lines::open(path) {
            Ok(lines) => (Some(lines), None),
            Err(error) => (None, Some(Err(error.into()))),
        };
        let read = move |(line, text): (usize, Result<String, ReadError>)| {
            in_line(&text?, types, class).map_err(|source| LineError::Line {
                path: path.to_owned(),
                line,
                source,
            })
        };
        error.into_iter().chain((1..).zip(lines.into_iter().flatten()).map(read))
    }
}

/// Returns the questions of a line: none if it is empty or a comment.
fn in_line(
    text: &str,
    types: &[RecordType],
    class: Option<DNSClass>,
) -> Result<Vec<DigQuestion>, LineMistake> {
    if text.len() >= MAX_LINE {
        return Err(LineMistake::Long);
    }
    let mut line = DigPlan::default();
    for text in text.split_ascii_whitespace().take_while(|text| !text.starts_with(['#', ';'])) {
        match text.parse().map_err(|source| LineMistake::Word { word: text.to_owned(), source })? {
            DigWord::Server(_) | DigWord::Option(_) | DigWord::File(_) => {
                return Err(LineMistake::Elsewhere(text.to_owned()));
            }
            word => line.add(&word),
        }
    }
    if line.subjects.is_empty() && (!line.types.is_empty() || line.class.is_some()) {
        return Err(LineMistake::NoName);
    }
    if line.types.is_empty() {
        line.types = types.to_vec();
    }
    line.class = line.class.or(class);
    Ok(line.subjects.iter().flat_map(|subject| line.questions(subject)).collect())
}

/// Returns the questions of class IN in a line, each with its name and type: none if it is empty or a comment.
pub(crate) fn questions_of_line(text: &str) -> Result<Vec<(Name, RecordType)>, LineMistake> {
    let asked = in_line(text, &[], None)?;
    let of_internet = asked.into_iter().filter(|asked| asked.class == DNSClass::IN);
    Ok(of_internet.map(|asked| (asked.name, asked.record_type)).collect())
}

/// Returns AAAA if the name spells an IPv6 address, else A: the name of an address has a record of its own family
/// only.
pub(crate) fn default_type(name: &Name) -> RecordType {
    match name.iter().next().and_then(podip::parse) {
        Some(IpAddr::V6(_)) => RecordType::AAAA,
        _ => RecordType::A,
    }
}

/// Returns the reverse name of an address (RFC 1035 3.5, RFC 3596 2.5).
fn reverse_name(address: IpAddr) -> Name {
    address.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::show_name;

    fn asked(words: &str) -> Vec<String> {
        let mut plan = DigPlan::default();
        words.split(' ').for_each(|word| plan.add(&word.parse().expect("a word")));
        let questions = plan.subjects.iter().flat_map(|subject| plan.questions(subject));
        questions.map(|asked| show(&asked)).collect()
    }

    fn show(asked: &DigQuestion) -> String {
        format!("{} {} {}", show_name(&asked.name), asked.class, asked.record_type)
    }

    #[test]
    fn types_belong_to_the_name_before_them() {
        assert_eq!(asked("web AAAA"), ["web. IN AAAA"]);
        assert_eq!(asked("AAAA web"), ["web. IN AAAA"]);
        assert_eq!(asked("web A AAAA www"), ["web. IN A", "web. IN AAAA", "www. IN A"]);
        assert_eq!(asked("SOA web www TXT"), ["web. IN SOA", "www. IN TXT"]);
        assert_eq!(asked("version.bind ch txt web"), ["version.bind. CH TXT", "web. IN A"]);
        assert_eq!(asked("ch txt a. b."), ["a. CH TXT", "b. CH TXT"]);
        assert_eq!(asked("fd00--7.web 1-2-3-4.web"), ["fd00--7.web. IN AAAA", "1-2-3-4.web. IN A"]);
    }

    #[test]
    fn reverse_names_ask_for_ptr() {
        let mut plan = DigPlan::default();
        plan.add(&DigWord::Type(RecordType::A));
        plan.add(&DigWord::Reverse([10, 42, 2, 46].into()));
        plan.add(&DigWord::Reverse("fd00::7".parse().expect("an address")));
        plan.add(&DigWord::Type(RecordType::ANY));
        let shown: Vec<_> = plan
            .subjects
            .iter()
            .flat_map(|subject| plan.questions(subject))
            .map(|asked| show(&asked))
            .collect();
        let v6 = format!("7.{}0.0.d.f.ip6.arpa. IN ANY", "0.".repeat(27));
        assert_eq!(shown, ["46.2.42.10.in-addr.arpa. IN PTR".to_owned(), v6]);
    }

    #[test]
    fn lines_are_independent() {
        let questions = |text: &str| {
            let found = in_line(text, &[RecordType::SOA], None)?;
            Ok(found.iter().map(show).collect::<Vec<_>>())
        };
        assert_eq!(questions("web A www # TXT"), Ok(vec!["web. IN A".to_owned(), "www. IN SOA".to_owned()]));
        assert_eq!(questions("TXT web"), Ok(vec!["web. IN TXT".to_owned()]));
        assert_eq!(questions("; web"), Ok(Vec::new()));
        assert_eq!(questions(""), Ok(Vec::new()));
        assert_eq!(questions("A"), Err(LineMistake::NoName));
        assert_eq!(questions("web @::1"), Err(LineMistake::Elsewhere("@::1".to_owned())));
        assert_eq!(questions(&"a ".repeat(MAX_LINE)), Err(LineMistake::Long));
        let source = NameTextError::EmptyLabel.into();
        assert_eq!(questions("a..b"), Err(LineMistake::Word { word: "a..b".to_owned(), source }));
    }

    use crate::text::NameTextError;
}
