//! The control thread: opens and publishes pods and settings, and serves the admin endpoints, so that neither delays
//! responses.
//!
//! Start and reload are the same command, [`ControlCommand::Replace`]. Operations that may block, such as reading files
//! and running credential plugins, run on another thread, so that commands, probes and feeds continue meanwhile. A
//! command whose caller no longer waits for the result is abandoned.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::{select, time};

use super::admin;
use super::audit::Audit;
use super::audit::file::domains;
use super::audit::task::AuditTask;
use super::bind::Sockets;
use super::cookie_publisher::CookiePublisher;
use super::cookies::{CookieSource, SecretStore};
use super::error::StartError;
use super::feed::{FeedPlan, OpenPods, OpenedFeed, PodOrigin, UnopenedPods};
use super::listen::{ListenerChanges, Listening, bind_all};
use super::rate_limit_check::check_after_lists;
use super::settings::{Needs, Settings};
use super::snapshots::SnapshotWriter;
use super::supervise::Tasks;
use super::transfer::{Publisher, TransferKeys};

/// Interval between checks whether a new feed has completed its first list.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Maximum time to write the last snapshot, and to write the audit, at the end. A disk that hangs must not prevent the
/// process from exiting.
const LAST_SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);

/// A command to the control thread.
#[derive(Debug)]
pub(super) enum ControlCommand {
    /// Open the parts that these settings need, then put the settings into effect.
    Replace {
        settings: Arc<Settings>,
        /// Receives the result. The command is abandoned if the receiver is dropped.
        done: oneshot::Sender<Result<(), StartError>>,
    },
    /// Serve the admin endpoints on these listeners.
    Admin(Vec<TcpListener>),
    /// Reply, to show that the thread is not stuck.
    Ping(oneshot::Sender<()>),
}

/// Inputs of the control thread.
pub(super) struct ControlParts {
    pub(super) listening: Listening,
    pub(super) cookies: SecretStore,
    /// The pods of the program, or [`UnopenedPods`].
    pub(super) pods: OpenPods,
    pub(super) unopened: Option<Arc<UnopenedPods>>,
    /// Key of the tables of an audit: secret and random.
    pub(super) key: [u8; 16],
    pub(super) tasks: Tasks,
}

/// Executes commands until their channel is closed.
pub(super) async fn work(mut commands: UnboundedReceiver<ControlCommand>, parts: ControlParts) {
    let mut control = ControlThread::new(parts);
    loop {
        select! {
            command = commands.recv() => match command {
                Some(ControlCommand::Replace { settings, done }) => control.replace(settings, done),
                Some(ControlCommand::Admin(listeners)) => control.serve_admin(listeners),
                // Fails only if the sender no longer waits.
                Some(ControlCommand::Ping(pong)) => drop(pong.send(())),
                None => break,
            },
            event = control.event() => control.handle(event),
        }
    }
    control.end().await;
}

/// Settings whose pods and secrets are being opened.
struct PendingSettings {
    settings: Arc<Settings>,
    done: oneshot::Sender<Result<(), StartError>>,
    /// New addresses, bound.
    added: Vec<(SocketAddr, Sockets)>,
    /// Addresses that are no longer configured.
    removed: Vec<SocketAddr>,
    task: JoinHandle<Result<OpenedParts, StartError>>,
}

/// Parts that were opened; `None` for a part that was not needed.
#[derive(Default)]
struct OpenedParts {
    cookies: Option<SecretStore>,
    feed: Option<(FeedPlan, OpenedFeed)>,
    keys: Option<TransferKeys>,
}

/// Parts that must be opened.
struct PartsToOpen {
    cookies: Option<CookieSource>,
    plan: Option<FeedPlan>,
    /// True if the pods file may be a pipe: only at the start, since a pipe cannot be read twice.
    pipes: bool,
    snapshot: Option<PathBuf>,
    /// Settings with the key file of zone transfers.
    settings: Arc<Settings>,
}

impl PartsToOpen {
    /// Opens everything, or nothing. May block the calling thread indefinitely.
    fn open(self, runtime: &Handle) -> Result<OpenedParts, StartError> {
        let cookies = self.cookies.map(|source| SecretStore::open(source, Instant::now())).transpose()?;
        let keys = Some(TransferKeys::read(&self.settings)?);
        let Some(plan) = self.plan else { return Ok(OpenedParts { cookies, feed: None, keys }) };
        let feed = runtime.block_on(OpenedFeed::open(plan.clone(), self.pipes, self.snapshot.as_deref()))?;
        Ok(OpenedParts { cookies, feed: Some((plan, feed)), keys })
    }
}

/// Event other than a command.
enum ControlEvent {
    /// All parts are open, or one cannot be.
    Opened(Box<Result<Result<OpenedParts, StartError>, JoinError>>),
    /// The caller no longer waits for the result of opening.
    Abandoned,
    /// The next feed may have completed its first list.
    Polled,
}

struct ControlThread {
    listening: Listening,
    cookies: Rc<CookiePublisher>,
    tasks: Tasks,
    /// The pods that are served.
    serving: OpenPods,
    /// Placeholder for the pods until the first feed is open.
    unopened: Option<Arc<UnopenedPods>>,
    opening: Option<PendingSettings>,
    /// Pods and settings that are published once the first list is complete.
    next: Option<(OpenPods, Arc<Settings>)>,
    snapshot_writer: Option<SnapshotWriter>,
    key: [u8; 16],
    audit: Option<AuditTask>,
    /// Creates versions for zone transfers, if they are configured.
    publisher: Option<Publisher>,
    /// Keys of the settings that were applied last.
    keys: TransferKeys,
}

impl ControlThread {
    fn new(parts: ControlParts) -> Self {
        let ControlParts { listening, cookies, pods, unopened, key, tasks } = parts;
        let cookies = CookiePublisher::new(cookies, Arc::clone(&listening.state));
        let (updating, checked) = (Rc::clone(&cookies), Arc::clone(&listening.state));
        tasks.spawn("cookie secrets", async move || updating.update().await);
        tasks.spawn("rate limit check", async move || check_after_lists(&checked).await);
        let mut control = Self {
            listening,
            cookies,
            tasks,
            serving: pods,
            unopened,
            opening: None,
            next: None,
            snapshot_writer: None,
            key,
            audit: None,
            publisher: None,
            keys: TransferKeys::default(),
        };
        control.keep_audit();
        control
    }

    fn serve_admin(&self, listeners: Vec<TcpListener>) {
        self.tasks.spawn_once("admin", admin::serve(listeners, Arc::clone(&self.listening.state)));
    }

    /// Begins to open the parts that settings need. Supersedes settings whose parts are being opened.
    fn replace(&mut self, settings: Arc<Settings>, done: oneshot::Sender<Result<(), StartError>>) {
        if let Some(superseded) = self.opening.take() {
            let _ = superseded.done.send(Err(StartError::Superseded));
        }
        let difference = if self.is_first(&settings) {
            // The addresses are already bound.
            ListenerChanges::default()
        } else {
            self.listening.difference(&settings.listen)
        };
        let bound = if settings.zones.is_empty() || settings.listen.is_empty() {
            Err(StartError::NothingToServe)
        } else {
            bind_all(&difference.added, &settings).map_err(StartError::Bind)
        };
        let added = match bound {
            Ok(added) => added,
            Err(error) => return drop(done.send(Err(error))),
        };
        let to_open = self.to_open(&settings);
        let runtime = Handle::current();
        let task = spawn_blocking(move || to_open.open(&runtime));
        self.opening = Some(PendingSettings { settings, done, added, removed: difference.removed, task });
    }

    /// Returns true for the settings that the server was started with.
    fn is_first(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(settings, &self.listening.state.current().settings)
    }

    /// Returns the parts that settings need and that are not open yet.
    fn to_open(&self, settings: &Arc<Settings>) -> PartsToOpen {
        let cookies = (!self.is_first(settings) && self.cookies.changes_with(&settings.cookies))
            .then(|| settings.cookies.clone());
        let plan = match self.origin(settings) {
            PodOrigin::Feed(plan) if self.open(&PodOrigin::Feed(plan.clone())).is_none() => Some(plan),
            _ => None,
        };
        // The index that is served is newer than any snapshot.
        let snapshot = settings.snapshot.as_ref().filter(|_| self.serving.is_unsynced());
        let pipes = self.serving.origin == PodOrigin::Unopened;
        let snapshot = snapshot.map(|file| file.path.clone());
        PartsToOpen { cookies, plan, pipes, snapshot, settings: Arc::clone(settings) }
    }

    /// Returns the origin of the pods under these settings.
    fn origin(&self, settings: &Settings) -> PodOrigin {
        match self.serving.origin {
            PodOrigin::Program => PodOrigin::Program,
            PodOrigin::Unopened | PodOrigin::Nothing | PodOrigin::Feed(_) => PodOrigin::of(settings),
        }
    }

    /// Returns the pods of this origin, if they are open. Pods that are yet to be published take precedence over those
    /// that are served.
    fn open(&self, origin: &PodOrigin) -> Option<OpenPods> {
        let next = self.next.iter().map(|(pods, _)| pods);
        let mut open = next.chain([&self.serving]);
        open.find(|pods| pods.origin == *origin).cloned()
    }

    /// Waits for the next event. Cancel safe: the future may be dropped at any time.
    async fn event(&mut self) -> ControlEvent {
        let polled = async {
            match self.next {
                Some(_) => time::sleep(POLL_INTERVAL).await,
                None => std::future::pending().await,
            }
        };
        let Some(PendingSettings { task, done, .. }) = &mut self.opening else {
            polled.await;
            return ControlEvent::Polled;
        };
        select! {
            opened = task => ControlEvent::Opened(Box::new(opened)),
            () = done.closed() => ControlEvent::Abandoned,
            () = polled => ControlEvent::Polled,
        }
    }

    fn handle(&mut self, event: ControlEvent) {
        match event {
            ControlEvent::Opened(opened) => {
                let Some(opening) = self.opening.take() else { return };
                let error = match *opened {
                    Ok(Ok(opened)) => return self.apply(opening, opened),
                    Ok(Err(error)) => error,
                    Err(error) if error.is_panic() => {
                        self.tasks.panicked("opening the pods");
                        StartError::Panicked
                    }
                    // Cancelled: the runtime is shutting down.
                    Err(_) => return,
                };
                self.unopened.iter().for_each(|unopened| unopened.failed(&error));
                // Fails only if the caller no longer waits.
                let _ = opening.done.send(Err(error));
            }
            ControlEvent::Abandoned => self.opening = None,
            ControlEvent::Polled => {
                if let Some((pods, settings)) = self.next.take_if(|(pods, _)| !pods.is_unsynced()) {
                    self.publish(pods, &settings);
                }
            }
        }
    }

    /// Puts settings whose parts are open into effect: immediately, or after the first list of their pods.
    fn apply(&mut self, opening: PendingSettings, opened: OpenedParts) {
        let PendingSettings { settings, done, added, removed, .. } = opening;
        if done.is_closed() {
            return;
        }
        let origin = self.origin(&settings);
        // Pods that were open when this reload began are no longer open if the pods of the previous reload have
        // replaced them since.
        if matches!(origin, PodOrigin::Feed(_)) && opened.feed.is_none() && self.open(&origin).is_none() {
            drop(added);
            return self.replace(settings, done);
        }
        for (configured, sockets) in added {
            self.listening.add(configured, sockets);
        }
        for configured in removed {
            self.listening.remove(configured);
        }
        if let Some(store) = opened.cookies {
            self.cookies.replace(store);
        }
        if let Some(keys) = opened.keys {
            self.keys = keys;
        }
        let pods = match opened.feed {
            Some((plan, feed)) => OpenPods::run(plan, feed, &self.tasks),
            None => self.open(&origin).unwrap_or_else(OpenPods::nothing),
        };
        // Stops the feed of superseded pods.
        if let Some((next, _)) = self.next.take().filter(|(next, _)| !next.is_same(&pods)) {
            next.stop.cancel();
        }
        // Settings do not wait for pods that only the audit needs.
        let waits = settings.answers_need() != Needs::Nothing;
        if waits && pods.is_unsynced() && !self.serving.is_unsynced() && !pods.is_same(&self.serving) {
            tracing::info!(
                "reading the pods of the new settings; those of the old ones are served until that is complete"
            );
            self.next = Some((pods, settings));
        } else {
            self.publish(pods, &settings);
        }
        let _ = done.send(Ok(()));
    }

    /// Puts these pods and settings into effect.
    fn publish(&mut self, pods: OpenPods, settings: &Arc<Settings>) {
        let audit = self.audit_of(settings);
        let counters = &self.listening.state.transfers;
        let is_same = pods.is_same(&self.serving);
        let publisher = self.publisher.take();
        self.publisher =
            Publisher::replace(publisher, &pods, is_same, settings, &self.keys, counters, &self.tasks);
        let service = self.publisher.as_ref().map(|publisher| Arc::clone(&publisher.service));
        self.listening.state.current.send_modify(|current| {
            current.settings = Arc::clone(settings);
            current.pods = pods.pods.clone();
            current.audit = audit;
            current.transfers = service;
        });
        self.keep_audit();
        if !is_same {
            self.serving.stop.cancel();
        }
        self.serving = pods;
        self.unopened = None;
        let saved = self.snapshot_writer.as_ref().map(|snapshot_writer| &snapshot_writer.file);
        if !is_same || saved != settings.snapshot.as_ref() {
            self.save(settings);
        }
    }

    /// Returns the audit that the settings require: the previous one if its file and domains are the same.
    fn audit_of(&self, settings: &Settings) -> Option<Arc<Audit>> {
        let before = self.listening.state.current().settings;
        let kept = self.audit.as_ref().map(|task| &task.audit).filter(|audit| {
            settings.audits() && audit.path == settings.audit_file && domains(&before) == domains(settings)
        });
        kept.cloned().or_else(|| Audit::of(settings, self.key))
    }

    /// Starts the task of the current audit, and ends the task of the previous one.
    fn keep_audit(&mut self) {
        let audit = self.listening.state.current().audit;
        let is_same = |task: &AuditTask| audit.as_ref().is_some_and(|audit| Arc::ptr_eq(audit, &task.audit));
        if self.audit.as_ref().is_some_and(is_same) {
            return;
        }
        if let Some(before) = self.audit.take() {
            before.retire();
        }
        let state = &self.listening.state;
        self.audit = audit.map(|audit| AuditTask::start(audit, Arc::clone(state), &self.tasks));
    }

    /// Starts to write snapshots of the pods to the file of the settings.
    fn save(&mut self, settings: &Settings) {
        if let Some(before) = self.snapshot_writer.take() {
            before.abandon();
        }
        self.snapshot_writer = self.serving.snapshots.as_ref().and_then(|snapshots| {
            snapshots.state.set_path(settings.snapshot.as_ref().map(|file| file.path.as_path()));
            let (recorder, state) = (snapshots.recorder.clone(), Arc::clone(&snapshots.state));
            Some(SnapshotWriter::start(recorder, settings.snapshot.clone()?, state, &self.tasks))
        });
    }

    /// Writes the last snapshot and the audit, and stops the feeds.
    async fn end(mut self) {
        if let Some(task) = self.audit.take()
            && time::timeout(LAST_SNAPSHOT_TIMEOUT, task.finish()).await.is_err()
        {
            let seconds = LAST_SNAPSHOT_TIMEOUT.as_secs();
            tracing::error!("the audit was not written within {seconds} s; ending without it");
        }
        if let Some(snapshot_writer) = self.snapshot_writer.take()
            && time::timeout(LAST_SNAPSHOT_TIMEOUT, snapshot_writer.finish()).await.is_err()
        {
            let seconds = LAST_SNAPSHOT_TIMEOUT.as_secs();
            tracing::error!("the last snapshot was not written within {seconds} s; ending without it");
        }
        self.serving.stop.cancel();
        if let Some((next, _)) = self.next {
            next.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use poddns_core::{Mode, NoPods, Zone};
    use poddns_watch::Source;
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;

    use super::super::answer::ResponseInputs;
    use super::super::pods::SharedPods;
    use super::super::state::{LogLosses, ServerState};
    use super::super::thread::PanicNotifier;
    use super::*;

    fn control() -> (ControlThread, Arc<ServerState>) {
        let current = ResponseInputs {
            settings: Arc::default(),
            pods: SharedPods(Arc::new(NoPods)),
            cookies: None,
            audit: None,
            transfers: None,
        };
        let state = Arc::new(ServerState::new(current, Vec::new(), LogLosses::default));
        let tcp = mpsc::unbounded_channel().0.downgrade();
        let parts = ControlParts {
            listening: Listening { state: Arc::clone(&state), workers: Vec::new(), tcp },
            cookies: SecretStore::open(CookieSource::Off, Instant::now()).unwrap(),
            pods: OpenPods::nothing(),
            unopened: None,
            key: [0; 16],
            tasks: Tasks::new(Arc::clone(&state), PanicNotifier::new().0),
        };
        (ControlThread::new(parts), state)
    }

    /// Returns settings with a file of one pod.
    fn settings(folder: &Path, address: &str) -> Arc<Settings> {
        let path = folder.join(address);
        let text =
            format!("- {{kind: Pod, metadata: {{name: a, namespace: a}}, status: {{podIP: {address}}}}}");
        std::fs::write(&path, format!("kind: List\nitems:\n{text}\n")).unwrap();
        let mut settings = Settings::default();
        settings.listen = vec![([127, 0, 0, 1], 0).into()];
        settings.source = Source::File(path);
        Arc::new(settings)
    }

    async fn open(control: &ControlThread, settings: &Settings) -> OpenPods {
        let PodOrigin::Feed(plan) = PodOrigin::of(settings) else { panic!("{settings:?}") };
        let feed = OpenedFeed::open(plan.clone(), false, None).await.unwrap();
        OpenPods::run(plan, feed, &control.tasks)
    }

    #[tokio::test]
    async fn pods_replaced_during_reload_are_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let reload = async {
            let (mut control, state) = control();
            let (first, second) = (settings(folder.path(), "10.0.0.1"), settings(folder.path(), "10.0.0.2"));
            control.serving = open(&control, &first).await;
            control.next = Some((open(&control, &second).await, second));
            let (done, mut result) = oneshot::channel();
            control.replace(first, done);
            control.handle(ControlEvent::Polled);
            while result.try_recv().is_err() {
                let event = control.event().await;
                control.handle(event);
            }
            let namespace = "a".parse().unwrap();
            let pods = state.current().pods.0;
            [1, 2].map(|last| pods.contains(&namespace, [10, 0, 0, last].into()))
        };
        assert_eq!(LocalSet::new().run_until(Box::pin(reload)).await, [Ok(true), Ok(false)]);
    }

    #[tokio::test]
    async fn settings_whose_opening_panics_are_refused() {
        let panics = async {
            let (mut control, state) = control();
            let (done, result) = oneshot::channel();
            control.opening = Some(PendingSettings {
                settings: Arc::default(),
                done,
                added: Vec::new(),
                removed: Vec::new(),
                task: spawn_blocking(|| panic!("injected")),
            });
            let event = control.event().await;
            control.handle(event);
            assert!(matches!(result.await, Ok(Err(StartError::Panicked))));
            state.control_panics.get()
        };
        assert_eq!(LocalSet::new().run_until(panics).await, 1);
    }

    #[tokio::test]
    async fn audit_of_other_domains_begins_anew() {
        let reloads = async {
            let (mut control, state) = control();
            ["cluster.local", "cluster.local", "example.org"].map(|domain| {
                let mut settings = Settings::default();
                (settings.mode, settings.audit) = (Mode::Insecure, true);
                settings.zones = vec![Zone::new(domain).unwrap()];
                control.publish(OpenPods::nothing(), &Arc::new(settings));
                state.current().audit.unwrap()
            })
        };
        let [first, reloaded, other] = LocalSet::new().run_until(reloads).await;
        assert!(Arc::ptr_eq(&first, &reloaded), "nothing of it has changed");
        assert!(!Arc::ptr_eq(&reloaded, &other));
    }
}
