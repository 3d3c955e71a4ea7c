//! A child process, and the kernel's figures for it.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::time::ClockId;
use nix::unistd::Pid;

/// A child process; killed when dropped.
pub(crate) struct MeasuredProcess {
    child: Child,
    started: Instant,
}

impl MeasuredProcess {
    /// Starts the process, without settings from the environment of this process.
    pub(crate) fn start(command: &mut Command) -> Self {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PODDNS_") {
                command.env_remove(name);
            }
        }
        for name in ["RUST_LOG", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "NOTIFY_SOCKET", "LISTEN_PID"] {
            command.env_remove(name);
        }
        let started = Instant::now();
        match command.spawn() {
            Ok(child) => Self { child, started },
            Err(error) => panic!("{} does not start: {error}", command.get_program().display()),
        }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Returns the time since its start.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Panics if it has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("it is our child") {
            panic!("the measured process has ended: {status}");
        }
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Returns the peak of resident memory in KiB, since the start or the last [`reset_peak`](Self::reset_peak).
    pub(crate) fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Resets the peak to the current resident memory (`proc_pid_clear_refs(5)`).
    pub(crate) fn reset_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("the peak can be reset");
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("it runs");
        kibibytes(&status, field).unwrap_or_else(|| panic!("no {field} in\n{status}"))
    }

    /// Returns the user and system time of all its threads.
    pub(crate) fn cpu(&self) -> Duration {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        ClockId::pid_cpu_clock_id(pid).and_then(ClockId::now).expect("it runs").into()
    }
}

impl Drop for MeasuredProcess {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_kibibytes() {
        let status = "Name:\tx\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(2048));
        assert_eq!(kibibytes(status, "VmHWM:"), Some(4096));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn child_is_measured_and_ends_with_owner() {
        let process = MeasuredProcess::start(Command::new("sleep").arg("60"));
        let resident = process.resident();
        assert!(resident > 0);
        // Read afterwards, because the child may still be growing.
        assert!(process.peak() >= resident);
        process.reset_peak();
        assert!(process.cpu() < Duration::from_secs(10));
        let path = format!("/proc/{}", process.child.id());
        assert!(fs::exists(&path).is_ok_and(|exists| exists));
        drop(process);
        assert!(fs::exists(&path).is_ok_and(|exists| !exists));
    }
}
