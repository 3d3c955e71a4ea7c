//! Runs the real program.
#![allow(dead_code, reason = "each test file uses a part")]

use std::process::{Command, Output};

/// What a run of `poddns` gave.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit status.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs `poddns` with these arguments, and without any `PODDNS_*` variable of the caller's.
pub(crate) fn poddns<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Run {
    poddns_with(args, &[])
}

/// Runs `poddns` with these arguments and variables.
pub(crate) fn poddns_with<S: AsRef<str>>(
    args: impl IntoIterator<Item = S>,
    variables: &[(&str, &str)],
) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poddns"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PODDNS_") {
            command.env_remove(name);
        }
    }
    command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    command.envs(variables.iter().copied());
    command.args(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    let Output { status, stdout, stderr } = command.output().expect("poddns starts");
    Run {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(stderr).expect("UTF-8 on standard error"),
    }
}
