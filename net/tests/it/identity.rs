//! Cookies and identifiers of the server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::support::{command, insecure};
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use poddns_test_support::daemon::Daemon;
use poddns_test_support::dns::ask;
use poddns_test_support::wait::until;

const COOKIE: u16 = 10;
const NSID: u16 = 3;

/// Option that makes loopback clients subject to the rate limit, so that they get cookies.
const LIMITED: &str = "--rate-limit-exempt=none";

fn edns(server: SocketAddr, code: u16, value: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii("pod.cluster.local.").unwrap(), RecordType::SOA));
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Unknown(code, value.to_vec()));
    message.set_edns(edns);
    let response = Message::from_vec(&ask(server, &message.to_vec().unwrap())).unwrap();
    match response.edns.as_ref()?.option(EdnsCode::from(code))? {
        EdnsOption::Unknown(_, value) => Some(value.clone()),
        other => Vec::try_from(other).ok(),
    }
}

/// Returns the text of a CH TXT record, or the rcode.
fn chaos(server: SocketAddr, name: &str) -> Result<String, u16> {
    let mut message = Message::query();
    let mut query = Query::query(Name::from_ascii(name).unwrap(), RecordType::TXT);
    query.set_query_class(DNSClass::CH);
    message.add_query(query);
    let response = Message::from_vec(&ask(server, &message.to_vec().unwrap())).unwrap();
    match response.answers.first().map(|record| &record.data) {
        Some(RData::TXT(text)) => Ok(text.to_string()),
        _ => Err(response.metadata.response_code.into()),
    }
}

fn valid_cookies(daemon: &Daemon) -> u64 {
    daemon.metric("poddns_cookies_total{transport=\"udp\",status=\"valid\"}")
}

fn write(file: &Path, secrets: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    // Written to another file and renamed, as in the volume of a Secret.
    let beside = file.with_extension("new");
    let lines: Vec<String> = secrets.iter().map(|&octet| format!("{octet:02x}").repeat(16)).collect();
    fs::write(&beside, lines.join("\n")).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(beside, file).unwrap();
}

#[test]
fn replicas_share_cookie_secrets_and_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    write(&file, &[0x11]);
    let flag = format!("--cookie-secret-file={}", file.display());
    let [one, two] = [(); 2].map(|()| insecure(&[&flag, LIMITED]));
    let fresh = |daemon: &Daemon, cookie: &[u8]| edns(daemon.address(), COOKIE, cookie).unwrap();
    let old = fresh(&one, b"12345678");
    assert_eq!(old.len(), 24);
    fresh(&two, &old);
    assert_eq!((valid_cookies(&one), valid_cookies(&two)), (0, 1));
    // RFC 9018 5: after a rollover, the previous secret stays valid.
    write(&file, &[0x22, 0x11]);
    for daemon in [&one, &two] {
        daemon.signal("HUP");
        until("reloaded", || daemon.metric("poddns_config_reloads_total{result=\"success\"}") == 1);
    }
    let new = fresh(&two, &old);
    assert_eq!(valid_cookies(&two), 2);
    assert_ne!(new[12..], old[12..]);
    fresh(&one, &new);
    assert_eq!(valid_cookies(&one), 1);
    // The previous secret is removed, this time without a signal.
    write(&file, &[0x22]);
    until("the file is read again by itself", || {
        let before = valid_cookies(&one);
        fresh(&one, &old);
        valid_cookies(&one) == before
    });
    fresh(&one, &new);
    assert!(!one.log().contains("every user of this machine"), "{}", one.log());
}

#[test]
fn processes_without_secret_file_differ() {
    let [one, two] = [(); 2].map(|()| insecure(&[LIMITED]));
    let cookie = edns(one.address(), COOKIE, b"12345678").unwrap();
    edns(one.address(), COOKIE, &cookie).unwrap();
    edns(two.address(), COOKIE, &cookie).unwrap();
    assert_eq!((valid_cookies(&one), valid_cookies(&two)), (1, 0));
    // A reload keeps the secret.
    one.signal("HUP");
    until("reloaded", || one.metric("poddns_config_reloads_total{result=\"success\"}") == 1);
    edns(one.address(), COOKIE, &cookie).unwrap();
    assert_eq!(valid_cookies(&one), 2);
}

#[test]
fn cookies_can_be_off() {
    let daemon = insecure(&["--cookies=false", LIMITED]);
    assert_eq!(edns(daemon.address(), COOKIE, b"12345678"), None);
}

#[test]
fn malformed_secret_file_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "# secrets\n0123\n").unwrap();
    let flag = format!("--cookie-secret-file={}", file.display());
    let output =
        command().args(["--pods=insecure", "--listen=127.0.0.1:0", "--admin=off", &flag]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let line = format!("cookie-secret-file {}:2: fewer than 32 digits", file.display());
    assert!(stderr.contains(&line), "{stderr}");
    assert!(!stderr.contains("0123"), "no secret in the log: {stderr}");

    fs::write(&file, "11".repeat(16)).unwrap();
    let daemon = insecure(&[&flag, LIMITED]);
    daemon.wait_for_log("every user of this machine can read the cookie secrets");
    let cookie = edns(daemon.address(), COOKIE, b"12345678").unwrap();
    fs::write(&file, "no secret").unwrap();
    daemon.signal("HUP");
    daemon.wait_for_log("the old configuration stays in effect");
    assert_eq!(daemon.metric("poddns_config_reloads_total{result=\"failure\"}"), 1);
    edns(daemon.address(), COOKIE, &cookie).unwrap();
    assert_eq!(valid_cookies(&daemon), 1);
}

#[test]
fn identifiers_are_refused_unless_configured() {
    let daemon = insecure(&[]);
    assert_eq!(edns(daemon.address(), NSID, b""), None);
    for name in ["version.bind.", "version.server.", "id.server.", "hostname.bind."] {
        assert_eq!(chaos(daemon.address(), name), Err(5), "{name}");
    }
}

#[test]
fn identifiers_are_answered_as_configured() {
    let daemon = insecure(&["--nsid=node-1", "--chaos-id=node one", "--chaos-version=auto"]);
    assert_eq!(edns(daemon.address(), NSID, b"").as_deref(), Some(&b"node-1"[..]));
    for name in ["id.server.", "hostname.bind."] {
        assert_eq!(chaos(daemon.address(), name).as_deref(), Ok("node one"), "{name}");
    }
    for name in ["version.server.", "VERSION.bind."] {
        let version = concat!("poddns ", env!("CARGO_PKG_VERSION"));
        assert_eq!(chaos(daemon.address(), name).as_deref(), Ok(version), "{name}");
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let daemon = insecure(&["--nsid=hostname", "--chaos-id=hostname", "--chaos-version=7.7"]);
    assert_eq!(edns(daemon.address(), NSID, b"").as_deref(), Some(host.trim().as_bytes()));
    assert_eq!(chaos(daemon.address(), "id.server.").as_deref(), Ok(host.trim()));
    assert_eq!(chaos(daemon.address(), "version.server.").as_deref(), Ok("7.7"));
}
