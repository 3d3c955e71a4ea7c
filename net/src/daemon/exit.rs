//! Exit codes.

use std::process::ExitCode;

/// Wrong usage or configuration: `EX_USAGE` of sysexits(3).
pub(super) const USAGE: u8 = 64;

/// Returns the exit code of a failure.
pub(super) fn exit_code(is_configuration: bool) -> ExitCode {
    if is_configuration { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
