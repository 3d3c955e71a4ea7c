//! Differences between two servers, and their summary.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::names::Probe;
use super::progress::ProgressBar;
use crate::outcome::{CommandError, print, print_part};
use crate::query::{ProbeAnswer, QueryError};
use crate::text::{show_name, show_type};

/// Version of the format of `--json`.
const VERSION: u32 = 1;

/// An answer, or the reason why there is none.
pub(super) type ProbeResult = Result<ProbeAnswer, QueryError>;

/// The result of comparing two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerDifference {
    /// Only the new server has the name and type.
    Gained,
    /// Only the old server has the name and type.
    Lost,
    /// Both have the name and type, with different data.
    Changed,
    /// Neither has data, and the rcodes differ.
    Status,
    /// One or both did not answer.
    Unanswered,
}

impl AnswerDifference {
    const ALL: [Self; 5] = [Self::Gained, Self::Lost, Self::Changed, Self::Status, Self::Unanswered];

    /// Returns the difference between the answers of the new and the old server; `None` if they are the same.
    pub(super) fn between(server: &ProbeResult, against: &ProbeResult) -> Option<Self> {
        let (Ok(server), Ok(against)) = (server, against) else { return Some(Self::Unanswered) };
        match (server.data.is_empty(), against.data.is_empty()) {
            _ if server == against => None,
            (false, true) => Some(Self::Gained),
            (true, false) => Some(Self::Lost),
            (false, false) => Some(Self::Changed),
            (true, true) => Some(Self::Status),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::Status => "status",
            Self::Unanswered => "unanswered",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Gained => "would be answered, and are not today",
            Self::Lost => "would no longer be answered",
            Self::Changed => "would have other answers",
            Self::Status => "would have another rcode, without answers as today",
            Self::Unanswered => "could not be compared: a server gave no answer",
        }
    }
}

/// Counts of differences; each difference is printed when it is found.
pub(super) struct ComparisonReport {
    json: bool,
    asked: u64,
    counts: [u64; AnswerDifference::ALL.len()],
    progress: Option<ProgressBar>,
}

impl ComparisonReport {
    pub(super) fn new(json: bool, progress: Option<ProgressBar>) -> Self {
        Self { json, asked: 0, counts: [0; AnswerDifference::ALL.len()], progress }
    }

    pub(super) fn add(
        &mut self,
        probe: &Probe,
        server: &ProbeResult,
        against: &ProbeResult,
    ) -> Result<(), CommandError> {
        self.asked += 1;
        if let Some(difference) = AnswerDifference::between(server, against) {
            for (kind, count) in AnswerDifference::ALL.into_iter().zip(&mut self.counts) {
                *count += u64::from(kind == difference);
            }
            self.erase_progress();
            print_part(&self.show(probe, difference, server, against))?;
        }
        let different = self.different();
        if let Some(progress) = &mut self.progress {
            progress.show(self.asked, different);
        }
        Ok(())
    }

    fn different(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn show(
        &self,
        probe: &Probe,
        difference: AnswerDifference,
        server: &ProbeResult,
        against: &ProbeResult,
    ) -> String {
        let (name, record_type) = (show_name(&probe.name), show_type(probe.record_type));
        if !self.json {
            let (kind, server, against) = (difference.name(), show(server), show(against));
            return format!("{kind:<11}{name} {record_type}\n  server:  {server}\n  against: {against}\n");
        }
        let answer = |asked: &ProbeResult| match asked {
            Ok(answer) => json!({ "status": answer.status, "data": answer.data }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        let object = json!({
            "version": VERSION,
            "difference": difference.name(),
            "name": name,
            "type": record_type,
            "server": answer(server),
            "against": answer(against),
        });
        format!("{object}\n")
    }

    /// Prints the summary; returns success if the servers agree.
    pub(super) fn end(self) -> Result<ExitCode, CommandError> {
        self.erase_progress();
        if self.asked == 0 {
            return Err(CommandError::run("there is no name to compare"));
        }
        let different = self.different();
        let same = self.asked - different;
        let mut text = String::new();
        if self.json {
            let counts = AnswerDifference::ALL.iter().zip(self.counts);
            let counts: serde_json::Map<_, _> =
                counts.map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
            let summary = json!({ "asked": self.asked, "same": same, "differences": counts });
            let _ = writeln!(text, "{}", json!({ "version": VERSION, "summary": summary }));
        } else {
            let _ = writeln!(text, "{} questions, {same} with the same answer", self.asked);
            for (kind, count) in
                AnswerDifference::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
            {
                let _ = writeln!(text, "  {count:>8} {}", kind.meaning());
            }
        }
        print(&text)?;
        Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn erase_progress(&self) {
        if self.progress.is_some() {
            ProgressBar::erase();
        }
    }
}

fn show(asked: &ProbeResult) -> String {
    match asked {
        Err(error) => error.to_string(),
        Ok(ProbeAnswer { status, data }) if data.is_empty() => {
            if status == "NOERROR" {
                "NOERROR without records".to_owned()
            } else {
                status.clone()
            }
        }
        Ok(ProbeAnswer { status, data }) if status == "NOERROR" => data.join(", "),
        Ok(ProbeAnswer { status, data }) => format!("{status}: {}", data.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::ProtoError;

    use super::*;

    fn answer(status: &str, data: &[&str]) -> ProbeAnswer {
        ProbeAnswer { status: status.to_owned(), data: data.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn differences_have_a_kind() {
        let (one, other) = (Ok(answer("NOERROR", &["10.0.0.1"])), Ok(answer("NOERROR", &["10.0.0.2"])));
        let (missing, nodata) = (Ok(answer("NXDOMAIN", &[])), Ok(answer("NOERROR", &[])));
        let silent: ProbeResult = Err(ProtoError::from("no answer").into());
        for (server, against, difference) in [
            (&one, &one, None),
            (&missing, &missing, None),
            (&one, &missing, Some(AnswerDifference::Gained)),
            (&nodata, &one, Some(AnswerDifference::Lost)),
            (&one, &other, Some(AnswerDifference::Changed)),
            (&missing, &nodata, Some(AnswerDifference::Status)),
            (&one, &silent, Some(AnswerDifference::Unanswered)),
            (&silent, &silent, Some(AnswerDifference::Unanswered)),
        ] {
            assert_eq!(AnswerDifference::between(server, against), difference, "{server:?} {against:?}");
        }
    }
}
