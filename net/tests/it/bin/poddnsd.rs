//! The daemon for the tests of this crate. The installed program is `poddnsd` of package `poddns`.

use std::process::ExitCode;

fn main() -> ExitCode {
    poddns_net::daemon::run(std::env::args_os())
}
