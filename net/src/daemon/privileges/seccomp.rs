//! seccomp: restricts the system calls that the process can make.
//!
//! There are three filters; the strictest verdict applies:
//!
//! - calls that a DNS server never makes, but an attacker who controls it would, kill the process: those that run
//!   programs, inspect other processes, or change the kernel or namespaces. The supervisor starts the process again,
//!   and the kernel's audit log has an entry.
//! - `clone3` fails with ENOSYS, since a filter cannot read its flags; the C library then uses `clone`.
//! - of all others, listed calls are allowed, and the rest fail with EPERM. They do not kill the process, because
//!   another or a newer C library may try other calls and work without them.

use std::collections::BTreeMap;
use std::error::Error;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::PrivilegeError;

/// Calls that are allowed with any arguments.
const ALLOWED: &[c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads, locks and exit.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_tgkill,
    // Handling of signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Time.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    // Sockets.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socketpair,
    // Files, as far as Landlock and file modes allow.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // Identity of process and host.
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getrandom,
    libc::SYS_getuid,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Older forms of some of these calls, which exist only on older architectures.
#[cfg(target_arch = "x86_64")]
const ALLOWED_BY_ARCHITECTURE: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_epoll_wait,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(target_arch = "aarch64")]
const ALLOWED_BY_ARCHITECTURE: &[c_long] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ALLOWED_BY_ARCHITECTURE: &[c_long] = &[];

/// Calls that kill the process.
const KILLING_CALLS: &[c_long] = &[
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Requests of `ioctl`: set non-blocking mode, return the number of readable bytes, set close-on-exec, and read
/// terminal attributes, by which isatty(3) works. The type of the constants depends on the C library.
#[allow(clippy::unnecessary_cast, reason = "it is not, with musl")]
const IOCTLS: [u64; 4] =
    [libc::FIONBIO as u64, libc::FIONREAD as u64, libc::FIOCLEX as u64, libc::TCGETS as u64];

/// Rules by the number of the call. A call with an empty list matches with any arguments.
type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Installs the filters for this thread and its future children. `no_new_privs` must be set.
pub(super) fn restrict() -> Result<(), PrivilegeError> {
    for program in filters()? {
        apply_filter(&program).map_err(failed)?;
    }
    tracing::info!("seccomp: no other system calls can be made");
    Ok(())
}

/// Fails if the filters cannot be compiled for this system.
pub(super) fn check() -> Result<(), PrivilegeError> {
    filters().map(drop)
}

/// Compiles the filters, in the order in which they are installed.
fn filters() -> Result<Vec<BpfProgram>, PrivilegeError> {
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let deadly = KILLING_CALLS.iter().map(|&number| (number, Vec::new())).collect();
    let hidden = [(libc::SYS_clone3, Vec::new())].into();
    let filters = [
        (deadly, SeccompAction::Allow, SeccompAction::KillProcess),
        (hidden, SeccompAction::Allow, errno(libc::ENOSYS)),
        (allowed()?, errno(libc::EPERM), SeccompAction::Allow),
    ];
    let compile = |(rules, otherwise, then)| {
        let filter = SeccompFilter::new(rules, otherwise, then, architecture()?).map_err(failed)?;
        BpfProgram::try_from(filter).map_err(failed)
    };
    filters.into_iter().map(compile).collect()
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> PrivilegeError {
    PrivilegeError::Seccomp(error.into())
}

fn architecture() -> Result<TargetArch, PrivilegeError> {
    let unknown = |_| failed(format!("no filter for the architecture {}", std::env::consts::ARCH));
    std::env::consts::ARCH.try_into().map_err(unknown)
}

fn allowed() -> Result<Rules, PrivilegeError> {
    let mut rules: Rules =
        ALLOWED.iter().chain(ALLOWED_BY_ARCHITECTURE).map(|&number| (number, Vec::new())).collect();
    // Allowed here, since an error of this filter, which is installed last, would replace ENOSYS of the second one.
    rules.insert(libc::SYS_clone3, Vec::new());
    rules.insert(libc::SYS_clone, threads_only()?);
    // Thread names, and memory names, which the C library sets.
    rules.insert(libc::SYS_prctl, one_of(0, &[libc::PR_SET_NAME, libc::PR_SET_VMA].map(unsigned))?);
    rules.insert(libc::SYS_ioctl, one_of(1, &IOCTLS)?);
    // getaddrinfo(3) reads the addresses of the system over netlink.
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK];
    rules.insert(libc::SYS_socket, one_of(0, &families.map(unsigned))?);
    Ok(rules)
}

/// Returns rules that match the creation of threads, not of processes.
fn threads_only() -> Result<Vec<SeccompRule>, PrivilegeError> {
    let thread = unsigned(libc::CLONE_THREAD);
    rule(0, SeccompCmpOp::MaskedEq(thread), thread).map(|rule| vec![rule])
}

fn unsigned(number: i32) -> u64 {
    number.unsigned_abs().into()
}

/// Returns rules that match if the argument is one of `values`.
fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, PrivilegeError> {
    values.iter().map(|&value| rule(argument, SeccompCmpOp::Eq, value)).collect()
}

fn rule(argument: u8, comparison: SeccompCmpOp, value: u64) -> Result<SeccompRule, PrivilegeError> {
    // The kernel's type of these arguments is `int`, so the upper half is ignored.
    let condition =
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value).map_err(failed)?;
    SeccompRule::new(vec![condition]).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::io;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::thread;

    use super::*;

    /// Runs `then` on a restricted thread of its own.
    fn restricted<T: Send + 'static>(then: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(|| {
            restrict().unwrap();
            then()
        })
        .join()
        .unwrap()
    }

    #[test]
    fn sockets_files_and_threads_work() {
        restricted(|| {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("\nSeccomp:\t2\n") && status.contains("\nNoNewPrivs:\t1\n"), "{status}");
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            udp.set_nonblocking(true).unwrap();
            udp.try_clone().unwrap().send_to(b"x", udp.local_addr().unwrap()).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            listener.accept().unwrap();
            thread::Builder::new()
                .name("named".to_owned())
                .spawn(|| fs::read("/etc/hosts").unwrap())
                .unwrap()
                .join()
                .unwrap();
            assert_ne!(crate::server::cookies::random().unwrap(), [0; 16]);
        });
    }

    #[test]
    fn unlisted_calls_are_not_permitted() {
        restricted(|| {
            assert_eq!(nix::unistd::pipe().unwrap_err(), nix::errno::Errno::EPERM);
            let raw = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, None);
            assert_eq!(raw.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(fs::create_dir("/tmp/never").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        });
    }

    /// Variable that is set in the process that is to be killed.
    const VICTIM: &str = "PODDNS_TEST_SECCOMP_VICTIM";

    #[test]
    fn to_run_a_program_is_deadly() {
        if env::var_os(VICTIM).is_some() {
            // Not `Command`, which would fork first, which is not permitted.
            restricted(|| nix::unistd::execv(c"/bin/true", &[c"true"]).unwrap());
        }
        let this = "daemon::privileges::seccomp::tests::to_run_a_program_is_deadly";
        let victim =
            Command::new(env::current_exe().unwrap()).args(["--exact", this]).env(VICTIM, "1").output();
        let victim = victim.unwrap();
        assert_eq!(victim.status.signal(), Some(libc::SIGSYS), "{victim:?}");
    }

    #[test]
    fn no_other_process_is_made() {
        let error = restricted(|| Command::new("/bin/true").spawn().map(drop).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn no_call_is_both_allowed_and_deadly() {
        let allowed = allowed().unwrap();
        assert!(KILLING_CALLS.iter().all(|number| !allowed.contains_key(number)));
    }
}
