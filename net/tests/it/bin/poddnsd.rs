//! The daemon, for the tests beside it. The program that is installed is `poddnsd` of package `poddns`.

use std::process::ExitCode;

fn main() -> ExitCode {
    poddns_net::daemon::run(std::env::args_os())
}
