//! A run of a measurement.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::MeasuredProgram;
use super::follower::{Follower, FollowerProgress, PATIENCE};
use super::poddnsd::Poddnsd;
use super::reflector::Reflector;
use super::results::MemoryFigures;
use super::store::Objects;
use poddns_test_support::api_server::ApiServer;

/// Interval at which a program's progress is read.
const POLL: Duration = Duration::from_millis(50);

/// The programs that are measured.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The daemon, in the build that is released.
    pub poddnsd: PathBuf,
    /// The program that keeps kube's store if its first argument is `reflector`.
    pub reflector: PathBuf,
}

/// Parameters of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of changes after the first list; a multiple of four.
    pub changes: u32,
    /// Number of changes per second.
    pub rate: u32,
    /// Time after which the memory of an idle program counts as steady.
    pub settle: Duration,
}

/// Starts the program with `pods` pods, and measures its first list, its changes, and a second list, which a 410
/// causes.
///
/// # Panics
///
/// Panics if the program fails, or if its pods are not those of the server.
#[must_use]
pub fn measure(programs: &Programs, subject: MeasuredProgram, pods: u32, plan: Plan) -> MemoryFigures {
    let server = subject.serve(pods);
    let mut measured = Measured { follower: start(programs, subject, &server), server, pods };
    let mut figures = measured.first_list();
    thread::sleep(plan.settle);
    figures.steady = measured.follower.process().resident();
    if pods > 0 {
        figures.change_cpu = Some(measured.changes(plan));
    }
    figures.relist_peak = measured.another_list();
    thread::sleep(plan.settle);
    figures.relisted = measured.follower.process().resident();
    measured.check("at the end");
    figures
}

fn start(programs: &Programs, subject: MeasuredProgram, server: &ApiServer) -> Box<dyn Follower> {
    match subject {
        MeasuredProgram::PoddnsdStreamed | MeasuredProgram::PoddnsdPaged | MeasuredProgram::PoddnsdJson => {
            Box::new(Poddnsd::start(&programs.poddnsd, server))
        }
        MeasuredProgram::ReflectorSlim => {
            Box::new(Reflector::start(&programs.reflector, Objects::Slim, server))
        }
        MeasuredProgram::ReflectorPods => {
            Box::new(Reflector::start(&programs.reflector, Objects::Pods, server))
        }
    }
}

struct Measured {
    /// Dropped before the server that it follows.
    follower: Box<dyn Follower>,
    server: ApiServer,
    pods: u32,
}

impl Measured {
    fn first_list(&mut self) -> MemoryFigures {
        self.follower.wait_until_ready();
        let process = self.follower.process();
        let (ready, ready_cpu, first_peak) = (process.age(), process.cpu(), process.peak());
        self.wait_until("the watch is open", |progress, server| {
            progress.lists == 1 && server.open_watches("pods") == 1
        });
        self.check("after the first list");
        MemoryFigures { ready, ready_cpu, first_peak, ..MemoryFigures::default() }
    }

    /// Returns the CPU time per change.
    fn changes(&mut self, plan: Plan) -> Duration {
        let before = self.follower.process().cpu();
        self.server.change_pods(plan.changes, plan.rate);
        let changes = u64::from(plan.changes);
        self.wait_until("all changes are seen", |progress, _| progress.events == changes);
        let spent = self.follower.process().cpu().saturating_sub(before);
        self.check("after the changes");
        assert_eq!(self.follower.progress().lists, 1, "the changes came by the watch, not by another list");
        spent / plan.changes
    }

    /// Causes a second list; returns the peak of resident memory in KiB.
    fn another_list(&mut self) -> u64 {
        self.follower.process().reset_peak();
        self.server.expire_watches("pods");
        self.wait_until("there is another list", |progress, server| {
            progress.lists == 2 && server.open_watches("pods") == 1
        });
        let peak = self.follower.process().peak();
        self.check("after the second list");
        peak
    }

    fn wait_until(&mut self, what: &str, condition: impl Fn(FollowerProgress, &ApiServer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let progress = self.follower.progress();
            if condition(progress, &self.server) {
                return;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {progress:?}");
            self.follower.process().assert_running();
            thread::sleep(POLL);
        }
    }

    fn check(&mut self, when: &str) {
        assert_eq!(self.follower.progress().pods, u64::from(self.pods), "pods {when}");
        self.follower.assert_right(&self.server);
    }
}
