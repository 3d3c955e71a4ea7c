//! A log that is not read: lines are lost, and no answers.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;

use crate::support::insecure;
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::{Stream, assert_answers, id, name, query};
use poddns_test_support::wait::until;

const IP: Ipv4Addr = Ipv4Addr::new(10, 42, 2, 46);

/// Number of errors in the config file. Each is a line of the log; together they exceed the capacity of a pipe.
const COMPLAINTS: usize = 1000;

/// Reloads, with a thousand lines each, until both the pipe and the daemon's queue are full.
fn complain_until_lines_are_dropped(daemon: &Daemon) {
    let dropped = "poddns_dropped_log_lines_total{reason=\"queue_full\"}";
    while daemon.metric(dropped) == 0 {
        let failures = daemon.metric("poddns_config_reloads_total{result=\"failure\"}");
        daemon.signal("HUP");
        until("it is read again", || {
            daemon.metric("poddns_config_reloads_total{result=\"failure\"}") > failures
        });
        // All threads add their lines to the same queue, so a full one could block any of them.
        assert_answers(daemon.address());
    }
    assert_eq!(daemon.metric("poddns_dropped_log_lines_total{reason=\"write_failed\"}"), 0);
}

/// Starts a daemon, and then writes [`COMPLAINTS`] errors to its config file, so that the next reload fails.
fn about_to_complain() -> (Daemon, tempfile::NamedTempFile) {
    let config = tempfile::NamedTempFile::new().unwrap();
    let daemon = insecure(&["--config", config.path().to_str().unwrap()]);
    let mut wrong = String::new();
    for number in 0..COMPLAINTS {
        writeln!(wrong, "no-such-key-{number} = true").unwrap();
    }
    fs::write(config.path(), wrong).unwrap();
    (daemon, config)
}

#[test]
fn unread_log_delays_neither_answers_nor_exit() {
    let (mut daemon, _config) = about_to_complain();
    let unread = daemon.leave_log_unread();
    complain_until_lines_are_dropped(&daemon);
    for number in 0..100 {
        assert_answers(daemon.address());
        assert_eq!(id(&Stream::connect(daemon.address()).exchange(&query(number, &name(IP)))), number);
    }
    assert!(daemon.status()["log"]["dropped_lines"].as_u64().unwrap() > 0);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0), "though nobody reads its last lines either");
    drop(unread);
}

#[test]
fn resumed_log_reports_lost_lines() {
    let (mut daemon, _config) = about_to_complain();
    let unread = daemon.leave_log_unread();
    complain_until_lines_are_dropped(&daemon);
    drop(unread);
    daemon.wait_for_log("the log was not read, and lines of it are lost");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    daemon.wait_for_log("\"ended\"");
}
