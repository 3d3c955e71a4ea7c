//! Output for a command line that requests help or is wrong.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextValue, ErrorKind as UsageKind};

use super::exit::USAGE;

/// Maximum number of characters of an argument in a message.
const MAX_ARGUMENT: usize = 200;

/// Prints the help or version if requested, otherwise the error of the command line, and returns the exit code.
///
/// Control characters of arguments are escaped, and long arguments are truncated.
#[must_use]
pub fn report_usage(error: &Error) -> ExitCode {
    let printed = match escaped(error) {
        Some(text) => io::stderr().lock().write_all(text.as_bytes()),
        None => error.print(),
    };
    match (error.kind(), printed) {
        (UsageKind::DisplayHelp | UsageKind::DisplayVersion, Err(failure))
            if failure.kind() != ErrorKind::BrokenPipe =>
        {
            ExitCode::FAILURE
        }
        (UsageKind::DisplayHelp | UsageKind::DisplayVersion, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

/// Returns the message with its arguments escaped and truncated; `None` if they need neither.
fn escaped(error: &Error) -> Option<String> {
    let plain = error.render().to_string();
    // This keeps the escape sequences of arguments and of clap; `plain` has neither.
    let mut text = error.render().ansi().to_string();
    for (_, value) in error.context() {
        let arguments = match value {
            ContextValue::String(argument) => std::slice::from_ref(argument),
            ContextValue::Strings(arguments) => arguments,
            _ => continue,
        };
        for argument in arguments.iter().filter(|argument| !argument.is_empty()) {
            text = text.replace(argument, &shown(argument));
        }
    }
    // This removes escape sequences. The rest of the text is escaped, too, since the reason may repeat an argument.
    let text = StyledStr::from(text).to_string();
    let text: String =
        text.split_inclusive('\n').map(|line| line.trim_end_matches('\n')).map(escape_line).collect();
    (text != plain).then_some(text)
}

fn shown(argument: &str) -> String {
    let mut text: String = argument.chars().take(MAX_ARGUMENT).flat_map(escape).collect();
    if argument.chars().nth(MAX_ARGUMENT).is_some() {
        text.push_str("...");
    }
    text
}

fn escape_line(line: &str) -> String {
    line.chars().flat_map(escape).chain(['\n']).collect()
}

/// Returns a printable character unchanged, and the escape sequence of any other.
fn escape(char: char) -> impl Iterator<Item = char> {
    let prints =
        char == ' ' || char.is_ascii_graphic() || (!char.is_ascii() && char.escape_debug().eq([char]));
    let escaped = (!prints).then(|| char.escape_default());
    prints.then_some(char).into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(arguments: &[&str]) -> Option<String> {
        let command = clap::Command::new("test")
            .arg(clap::Arg::new("number").long("number").value_parser(clap::value_parser!(u8)));
        escaped(&command.try_get_matches_from([&["test"], arguments].concat()).unwrap_err())
    }

    #[test]
    fn plain_arguments_are_left_to_clap() {
        assert_eq!(message(&["--number", "b\u{fc}cher"]), None);
        assert_eq!(message(&["--no-such-flag"]), None);
        assert_eq!(message(&["--help"]), None);
    }

    #[test]
    fn steering_characters_are_escaped() {
        for arguments in
            [["--number", "\u{1b}[31m\n1"].as_slice(), &["--\u{1b}[31m\n1"], &["\u{202e}\u{1b}[31m\n1"]]
        {
            let text = message(arguments).unwrap();
            assert!(text.contains("\\u{1b}[31m\\n1"), "{text}");
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        }
    }

    #[test]
    fn long_arguments_are_cut() {
        let text = message(&["--number", &"9".repeat(100_000)]).unwrap();
        assert!(text.contains("999...") && text.len() < 2 * MAX_ARGUMENT, "{text}");
    }
}
