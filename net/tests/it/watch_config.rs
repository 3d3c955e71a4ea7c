//! `--watch-config`: a changed config file is read again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::insecure;
use poddns_test_support::dns::assert_answers;
use poddns_test_support::wait::until;

fn configure(folder: &Path, version: &str, text: &str) {
    fs::create_dir(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("poddnsd.toml"), text).unwrap();
}

/// Re-points the link `..data`, as the kubelet does for a `ConfigMap`.
fn publish(folder: &Path, version: &str) {
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[test]
fn config_map_that_changes_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poddnsd.toml");
    configure(folder.path(), "..1", "watch-config = true\nttl = 10\n");
    publish(folder.path(), "..1");
    symlink("..data/poddnsd.toml", &path).unwrap();
    let daemon = insecure(&["--config", path.to_str().unwrap()]);
    let reloads = |result: &str| {
        let (_, metrics) = daemon.get("/metrics");
        let name = format!("poddns_config_reloads_total{{result=\"{result}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned)
    };
    assert_eq!(daemon.status()["ttl_seconds"], 10);
    assert_eq!(daemon.metric("poddns_config_last_reload_successful"), 1);

    configure(folder.path(), "..2", "watch-config = true\nttl = 20\n");
    publish(folder.path(), "..2");
    until("the new version", || daemon.status()["ttl_seconds"] == 20);

    // An invalid version only changes metrics and the log.
    configure(folder.path(), "..3", "watch-config = true\nttl = 9999\n");
    publish(folder.path(), "..3");
    daemon.wait_for_log("is out of range; allowed: 0 to 3600");
    daemon.wait_for_log("the new configuration is wrong; the old one stays in effect");
    until("counted", || reloads("failure").as_deref() == Some("1"));
    assert_eq!(daemon.metric("poddns_config_last_reload_successful"), 0);
    assert_eq!(daemon.status()["ttl_seconds"], 20);
    assert_answers(daemon.address());

    configure(folder.path(), "..4", "ttl = 30\n");
    publish(folder.path(), "..4");
    until("the version after it", || daemon.status()["ttl_seconds"] == 30);
    assert_eq!(daemon.metric("poddns_config_last_reload_successful"), 1);
    assert_eq!(reloads("failure").as_deref(), Some("1"), "a broken version is read once");
}
