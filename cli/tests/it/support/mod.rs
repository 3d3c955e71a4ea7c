//! Runs of the program.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use poddns_test_support::daemon::without_settings;

/// Result of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit status.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs `poddns` with these arguments, without the `PODDNS_*` variables of the caller.
pub(crate) fn poddns<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Run {
    poddns_with(args, &[])
}

/// Runs `poddns` with these arguments and this standard input.
pub(crate) fn poddns_with_input<S: AsRef<str>>(args: impl IntoIterator<Item = S>, input: &str) -> Run {
    let mut child = command(args, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("poddns starts");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // Fails if the process ends before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let run = Run::from(child.wait_with_output().expect("poddns ends"));
    writer.join().expect("the writer does not panic");
    run
}

/// Runs `poddns` with these arguments and variables.
pub(crate) fn poddns_with<S: AsRef<str>>(
    args: impl IntoIterator<Item = S>,
    variables: &[(&str, &str)],
) -> Run {
    Run::from(command(args, variables).stdin(Stdio::null()).output().expect("poddns starts"))
}

/// Starts `poddns` with these arguments and a pipe as standard output.
pub(crate) fn spawn<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Child {
    command(args, &[]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("poddns starts")
}

/// Returns a command with these arguments and variables, without other `PODDNS_*` variables.
fn command<S: AsRef<str>>(args: impl IntoIterator<Item = S>, variables: &[(&str, &str)]) -> Command {
    let mut command = without_settings(Command::new(env!("CARGO_BIN_EXE_poddns")));
    command.envs(variables.iter().copied());
    command.args(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    command
}

impl From<Output> for Run {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self {
            code: status.code(),
            stdout: String::from_utf8(stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(stderr).expect("UTF-8 on standard error"),
        }
    }
}
