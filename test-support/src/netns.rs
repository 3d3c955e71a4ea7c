//! Tests that run in their own network namespace.

use std::process::Command;

/// Environment variable that is set in the namespace.
const INSIDE: &str = "TEST_IS_INSIDE";

/// Runs `test`, whose path is `name`, in a network namespace that is set up by these arguments of `ip`.
pub fn in_namespace(name: &str, setup: &[&str], test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_none() {
        let this = std::env::current_exe().unwrap();
        let inside = Command::new("unshare")
            .args(["--map-root-user", "--net", "--"])
            .arg(this)
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare of util-linux");
        let told = [inside.stdout, inside.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(inside.status.success(), "{told}");
        println!("{told}");
        return;
    }
    for line in setup {
        let done = Command::new("ip").args(line.split(' ')).status().expect("ip of iproute2");
        assert!(done.success(), "ip {line}");
    }
    test();
}
