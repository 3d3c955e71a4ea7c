//! `poddnsd`, the DNS daemon.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    poddns_net::daemon::run(std::env::args_os())
}
