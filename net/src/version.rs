//! Version of this build: release, commit, features and target.

use std::sync::LazyLock;

/// Release of the workspace, such as `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Commit of the source: the variable `PODDNS_COMMIT` of the compiler's environment, which builds of releases and
/// images set. `None` if it was unset or empty.
pub const COMMIT: Option<&str> = match option_env!("PODDNS_COMMIT") {
    Some(commit) if !commit.is_empty() => Some(commit),
    _ => None,
};

/// Optional parts of the program, and whether they are compiled in. `landlock`, `seccomp` and `static` are not Cargo
/// features: they depend on the target.
const FEATURES: &[(&str, bool)] = &[
    ("daemon", cfg!(feature = "daemon")),
    ("landlock", cfg!(all(feature = "daemon", target_os = "linux"))),
    ("seccomp", cfg!(all(feature = "daemon", target_os = "linux"))),
    ("static", cfg!(target_feature = "crt-static")),
];

/// Text that [`details`] returns.
static DETAILS: LazyLock<String> = LazyLock::new(|| {
    let features: Vec<&str> = FEATURES.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    format!(
        "{VERSION}\ncommit: {}\nfeatures: {}\ntarget: {}-{}-{}",
        COMMIT.unwrap_or("unknown"),
        features.join(", "),
        std::env::consts::ARCH,
        std::env::consts::OS,
        if cfg!(target_env = "musl") { "musl" } else { "gnu" },
    )
});

/// Returns version, commit, features and target, one a line, as `--version` prints them.
#[must_use]
pub fn details() -> &'static str {
    &DETAILS
}
