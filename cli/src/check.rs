//! `poddns check`: a check of the configuration and of the permissions in the cluster, before the daemon runs.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::Error as ClapError;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use poddns_net::config::{DaemonSettings, Sources, unknown_variables, with_flags};
use poddns_net::daemon::{HIDDEN_BEHIND_CACHE, PassedSockets, is_colored};
use poddns_net::{Needs, Settings, try_audit_file};
use poddns_watch::access::{self, AccessError, AccessReport, Subject};
use poddns_watch::{ClusterOptions, Feed, Scope, Source, check_snapshot_path};
use tracing_subscriber::EnvFilter;

use crate::outcome::{CommandError, note, print, print_error_line};
use crate::runtime::runtime;

const HELP: &str = "\
Takes the flags, PODDNS_* variables and config file of poddnsd, and checks them as poddnsd does. If the mode \
needs the cluster, asks its API server for the permissions to list and watch what the daemon lists and watches. Run it \
as the daemon runs: in its pod, or with its kubeconfig.

Findings go to standard error. Standard output has nothing but the RBAC objects that are missing.

Examples:
  poddns check --config /etc/poddns/poddnsd.toml
  poddns check --kubeconfig ~/.kube/config --context staging --namespace web
  poddns check | kubectl apply -f -
  poddns check --as system:serviceaccount:kube-system:poddns
  poddns check --rbac --as system:serviceaccount:kube-system:poddns

Exit status: 0 all is well, 1 something is missing or out of reach, 64 the configuration is wrong.";

/// Options that the daemon does not have.
const AS: &str = "as";
const AS_GROUP: &str = "as-group";
const RBAC: &str = "rbac";

/// The command line of `poddns check`: the daemon's, and options of its own.
#[derive(Debug)]
pub(crate) struct CheckArgs(ArgMatches);

impl FromArgMatches for CheckArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Args for CheckArgs {
    fn augment_args(command: Command) -> Command {
        let subject = Arg::new(AS).long(AS).value_name("USER").help(
            "Check the permissions of this user or service account (system:serviceaccount:NAMESPACE:NAME)",
        );
        let groups = Arg::new(AS_GROUP)
            .long(AS_GROUP)
            .value_name("GROUP")
            .action(ArgAction::Append)
            .requires(AS)
            .conflicts_with(RBAC)
            .help("A further group of that user; repeatable");
        let rbac = Arg::new(RBAC)
            .long(RBAC)
            .action(ArgAction::SetTrue)
            .help("Print the RBAC objects that the configuration needs, without asking a cluster");
        with_flags(command).args([subject, groups, rbac]).after_help(HELP)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Subject of the permission check, with its groups; `None` for this process.
struct CheckedSubject {
    subject: Option<Subject>,
    groups: Vec<String>,
}

impl CheckedSubject {
    fn of(matches: &ArgMatches) -> Self {
        let groups = matches.get_many::<String>(AS_GROUP).unwrap_or_default().cloned().collect();
        Self { subject: matches.get_one::<String>(AS).map(|user| Subject::of(user)), groups }
    }
}

/// Prints the RBAC objects that the settings need in a cluster.
fn print_rbac(settings: &Settings, subject: Option<&Subject>) -> Result<ExitCode, CommandError> {
    if settings.needs() == Needs::Nothing || !matches!(settings.source, Source::Cluster(_)) {
        print_finding("ok", "nothing is needed of a cluster");
        return Ok(ExitCode::SUCCESS);
    }
    print(&access::rbac(&settings.scope(), subject))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, CommandError> {
    let checked = CheckedSubject::of(&args.0);
    let passed = PassedSockets::take().map_err(CommandError::usage)?;
    let sources = Sources::new(&args.0, |name| std::env::var_os(name))?.with_passed(&passed);
    let daemon = sources.settings()?;
    let settings = &daemon.server;
    if args.0.get_flag(RBAC) {
        return print_rbac(settings, checked.subject.as_ref());
    }
    print_finding("ok", &format!("configuration: {}", summary(settings)));
    for variable in unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        print_finding("warning", &variable.to_string());
    }
    preflight(&sources, &daemon, &passed)?;
    warn(settings);
    let kept = check_audit_file(settings);
    if settings.needs() == Needs::Nothing {
        print_finding("ok", "nothing is needed of a cluster");
        return Ok(ExitCode::SUCCESS);
    }
    let scope = settings.scope();
    let runtime = runtime()?;
    match settings.source.clone() {
        Source::File(path) | Source::FileOrPipe(path) => {
            let status = runtime.block_on(check_file(path, scope, settings))?;
            Ok(if kept { status } else { ExitCode::FAILURE })
        }
        Source::Cluster(options) => {
            let snapshot = settings.snapshot.as_ref().map(|snapshot| snapshot.path.as_path());
            let kept = kept
                & match snapshot {
                    Some(path) => runtime.block_on(check_snapshot(path, options.clone(), scope.clone()))?,
                    None => true,
                };
            let granted = runtime.block_on(check_cluster(options.clone(), &scope, &checked))?;
            // The check lists pods, for which this process needs permissions of its own.
            if granted && scope.pods && checked.subject.is_none() {
                runtime.block_on(check_rate_limit(options, &scope, settings));
            }
            Ok(if kept && granted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Warns of settings that are allowed but probably unintended, or easily forgotten.
fn warn(settings: &Settings) {
    if settings.unguarded() {
        print_finding("warning", "mode insecure without any guard: any address is answered");
    }
    if settings.hides_pods() {
        print_finding("warning", HIDDEN_BEHIND_CACHE);
    }
}

/// Returns true unless the audit is to be kept in a file that cannot be used.
fn check_audit_file(settings: &Settings) -> bool {
    match try_audit_file(settings) {
        None => true,
        Some(Ok(found)) => {
            print_finding("ok", &found.to_string());
            true
        }
        Some(Err(why)) => {
            print_finding("missing", &why.to_string());
            false
        }
    }
}

/// Checks for everything that would keep the daemon from serving, if it were started as this process was.
fn preflight(
    sources: &Sources,
    settings: &DaemonSettings,
    passed: &PassedSockets,
) -> Result<(), CommandError> {
    let checked = poddns_net::daemon::preflight(sources, settings, passed);
    checked.map_err(|errors| {
        if errors.is_configuration() { CommandError::usage(errors) } else { CommandError::run(errors) }
    })
}

fn summary(settings: &Settings) -> String {
    let mode = settings.mode.as_str();
    let list = |texts: Vec<String>| texts.join(", ");
    let zones = list(settings.zones.iter().map(|zone| zone.apex().to_string()).collect());
    let listen = list(settings.listen.iter().map(ToString::to_string).collect());
    let reverse = list(settings.reverse_zones.iter().map(ToString::to_string).collect());
    let reverse = if reverse.is_empty() { reverse } else { format!("reverse zones of {reverse}, ") };
    format!("mode {mode}, zones {zones}, {reverse}listening on {listen}")
}

async fn check_file(path: PathBuf, scope: Scope, settings: &Settings) -> Result<ExitCode, CommandError> {
    // The feed logs pods that it cannot use.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("poddns_watch=warn"))
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(is_colored())
        .init();
    let shown = path.display().to_string();
    let feed = Feed::open(Source::FileOrPipe(path), scope).await?;
    let stats = feed.index().stats();
    print_finding(
        "ok",
        &format!(
            "pods file {shown}: {} pods, {} addresses, {} namespaces",
            stats.pods, stats.addresses, stats.namespaces
        ),
    );
    if settings.rate_limit.is_some()
        && let Some(address) = feed.recorder().find_address(|address| is_limited(settings, &address))
    {
        warn_of_rate_limit(address);
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns true if an address is in none of the networks that the rate limit exempts.
fn is_limited(settings: &Settings, address: &IpAddr) -> bool {
    !settings.exempt.iter().any(|network| network.contains(address))
}

fn warn_of_rate_limit(address: IpAddr) {
    print_finding(
        "warning",
        &format!(
            "the rate limit applies to {address}, a pod or its node: it would throttle CoreDNS; set pod-cidr, or add \
             the networks of pods and nodes to rate-limit-exempt"
        ),
    );
}

/// Reads some pods of the cluster to check whether the rate limit applies to their addresses.
async fn check_rate_limit(options: ClusterOptions, scope: &Scope, settings: &Settings) {
    if settings.rate_limit.is_none() {
        return;
    }
    match access::addresses(options, scope).await {
        Ok(addresses) => match addresses.iter().find(|address| is_limited(settings, address)) {
            Some(&address) => warn_of_rate_limit(address),
            None => print_finding(
                "ok",
                &format!("the rate limit applies to none of {} addresses", addresses.len()),
            ),
        },
        Err(error) => print_finding("warning", &format!("{error}; so the rate limit cannot be checked")),
    }
}

/// Reports whether snapshots can be written to the path, and the contents of the existing one; returns true if there
/// is no fault.
async fn check_snapshot(path: &Path, options: ClusterOptions, scope: Scope) -> Result<bool, CommandError> {
    let feed = Feed::open(Source::Cluster(options), scope).await?;
    let shown = path.display();
    match feed.inspect(path) {
        Ok(Some(found)) => {
            let age = match found.age {
                Some(age) => format!("{} s old", age.as_secs()),
                None => "from the future by this host's clock, so of unknown age".to_owned(),
            };
            let (pods, namespaces) = (found.pods, found.namespaces);
            print_finding("ok", &format!("snapshot {shown}: {pods} pods, {namespaces} namespaces, {age}"));
        }
        Ok(None) => print_finding("ok", &format!("snapshot {shown}: none yet")),
        Err(error) => print_finding("warning", &format!("{error}; the daemon would start without")),
    }
    match check_snapshot_path(path) {
        Ok(()) => {
            print_finding("ok", &format!("this user can write snapshots to {shown}"));
            Ok(true)
        }
        Err(error) => {
            print_finding("missing", &error.to_string());
            Ok(false)
        }
    }
}

async fn check_cluster(
    options: ClusterOptions,
    scope: &Scope,
    checked: &CheckedSubject,
) -> Result<bool, CommandError> {
    let other = checked.subject.is_some();
    let access = match checked.subject.clone() {
        Some(subject) => AccessReport::check_as(options, scope, subject, &checked.groups).await,
        None => AccessReport::check(options, scope).await,
    };
    let access = access.map_err(|error| match error {
        AccessError::Configuration(cause) => cause.into(),
        other => CommandError::run(other),
    })?;
    print_finding("ok", &format!("the API server at {} answers: {}", access.server, access.version));
    match &access.subject {
        Some(subject) if subject.is_anonymous() => {
            print_finding(
                "warning",
                "authenticated us as anonymous: the configuration has no credentials for it",
            );
        }
        Some(subject) if other => print_finding("ok", &format!("checked for {subject}")),
        Some(subject) => print_finding("ok", &format!("authenticated us as {subject}")),
        None if access.is_sufficient() => {}
        None => {
            print_finding("warning", "the API server does not report the user that it authenticated us as");
        }
    }
    for finding in &access.findings {
        let (verdict, may) = if finding.allowed { ("ok", "may") } else { ("missing", "may not") };
        let reason = if finding.reason.is_empty() { String::new() } else { format!(" ({})", finding.reason) };
        print_finding(verdict, &format!("{may} {}{reason}", finding.permission));
    }
    let Some(rbac) = access.missing_rbac() else { return Ok(true) };
    note("standard output has the RBAC objects that grant what is missing, for `kubectl apply -f -`");
    if let (Some(Subject::User(_)), false) = (&access.subject, other) {
        note(
            "they are for the user that made this check: name the daemon's service account if it is another",
        );
    }
    print(&rbac)?;
    Ok(false)
}

/// Prints a finding on one line.
fn print_finding(verdict: &str, finding: &str) {
    print_error_line(&format!("{verdict:<8}{finding}"));
}
