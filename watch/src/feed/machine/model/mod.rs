//! A model of an API server with all behaviour that a real one may have, which drives the machine through random
//! histories.
//!
//! For property tests and fuzz targets. The server orders the initial events of streaming lists arbitrarily, repeats
//! events, cuts off responses, stalls, refuses, lags behind, compacts its history, is restored from a backup, and is
//! replaced by another cluster. Faults are injected into the index, and comparisons must find and count each of them
//! once. In the end the server makes no more errors, and then the index must equal the cluster.

mod comparison;
mod faults;
mod index;
mod run;
mod server;
mod world;

use std::time::{Duration, Instant};

use super::cause::Cause;
use super::listing::{ListMethod, MethodChoice};
use super::sync_status::SyncStatus;
use super::{Machine, MachineStep};
use crate::Resource;
use crate::feed::explain::WatchedObjects;
use faults::Faults;
use index::Index;
pub use run::Choose;
use run::{Answer, ModelRun};
use world::{NAMES, State, World};

/// Maximum number of steps in which the index must be in sync once the server makes no errors.
const PATIENCE: u32 = 4000;

/// Runs one history of `steps` steps and checks that the index equals the cluster in the end.
///
/// # Panics
///
/// If it does not, or if an object that always exists was missing after the index was in sync.
pub fn run_history(steps: u32, choose: &mut Choose<'_>) {
    let methods = [ListMethod::Cached, ListMethod::Streaming, ListMethod::Paged];
    let first = choose(3) as usize;
    let preferred: Vec<ListMethod> = methods.iter().cycle().skip(first).take(3).copied().collect();
    let subject = WatchedObjects { resource: Resource::Pods, namespace: None, url: "https://model/".into() };
    let random = fastrand::Rng::with_seed(u64::from(choose(1 << 16)));
    let mut machine =
        Machine::new(Index::default(), subject, MethodChoice::new(&preferred, 1 + choose(4)), random);
    let world = World::new(0, u64::from(choose(50)), 0);
    if choose(4) == 0 {
        machine.filled_from(Some(world.cluster.clone()));
    }
    let streams = choose(4);
    let interval = [None, Some(5), Some(30)][choose(3) as usize].map(Duration::from_secs);
    machine.resync_every(interval);
    let mut choose = |bound: u32| choose(bound);
    let mut run = ModelRun {
        machine,
        world,
        now: Instant::now(),
        answer: None,
        choose: &mut choose,
        sound: false,
        idle: false,
        streams,
        synced: false,
        interval,
        comparison: None,
        faults: Faults::default(),
        log: String::new(),
    };
    for _ in 0..steps {
        run.step();
    }
    run.sound = true;
    run.finish();
}

impl ModelRun<'_> {
    fn step(&mut self) {
        if !self.sound {
            self.change_world();
        }
        match self.machine.poll(self.now) {
            MachineStep::Send(request) => {
                self.note(format_args!("send {request:?}"));
                self.receive(&request);
            }
            MachineStep::Wait(at) => {
                if !self.machine.is_waiting() {
                    self.answer = None;
                }
                self.begin_comparison();
                self.wait(at.into_iter().chain(self.machine.resync_deadline()).min());
            }
        }
        self.check();
    }

    /// Sends more of the server's response, or advances the time.
    fn wait(&mut self, at: Option<Instant>) {
        if self.comparison.is_some() && self.choose(2) == 0 {
            return self.advance_comparison();
        }
        let pass = self.answer.is_none() || (!self.sound && self.choose(3) == 0);
        if pass || !self.advance() {
            let to = at.unwrap_or(self.now + Duration::from_secs(1)).max(self.now);
            let whole = self.sound || self.choose(2) == 0;
            let time = to.saturating_duration_since(self.now);
            self.now += if whole { time } else { time / 2 };
        }
    }

    fn check(&mut self) {
        self.check_comparison();
        let anchored = self.machine.target().objects.contains_key(&0);
        assert!(anchored || !self.synced, "an object that is there was missing\n{}", self.log);
    }

    fn change_world(&mut self) {
        let (name, address) = (self.choose(NAMES), self.choose(1000));
        if self.idle {
            return;
        }
        match self.choose(60) {
            0..=14 => self.world.put(name, address),
            15..=20 if name > 0 => self.world.delete(name),
            21 | 22 => self.world.replace(name, address),
            23 => self.world.compacted = self.world.version(),
            24 => {
                let oldest = self.world.states.first().map_or(0, |(version, _)| *version);
                let span = u32::try_from(self.world.version() - oldest).unwrap_or_default();
                let back = oldest + u64::from(self.choose(span + 1));
                self.note(format_args!("restore {back}"));
                self.world.restore(back);
                self.restart();
            }
            25 => {
                let (cluster, version) = (self.choose(1 << 16), self.choose(200));
                self.world = World::new(cluster + 1, version.into(), self.world.uids);
                self.note(format_args!("other cluster at {version}"));
                self.restart();
            }
            26 => self.stop(),
            27..=30 => self.spoil(),
            _ => {}
        }
    }

    /// Restarts the server, which takes time. The cluster does not change until it is identified: a history that went
    /// back and has since caught up cannot be distinguished from one that never went back.
    fn restart(&mut self) {
        self.idle = true;
        self.comparison = None;
        self.faults.reopen(&self.world);
        self.machine.resync_failed("restart".to_owned());
        self.fail(&Cause::broken("restart"));
        self.now += Duration::from_secs(2);
    }

    /// Runs without errors of the server until the index equals the cluster.
    fn finish(&mut self) {
        let finished = (0..PATIENCE).any(|_| {
            self.step();
            let watching =
                matches!(&self.answer, Some(Answer::Watch { sent }) if self.next_change(*sent).is_none());
            watching && self.machine.status() == SyncStatus::Fresh && self.is_in_sync()
        });
        let (index, state) = (&self.machine.target().objects, self.world.state());
        assert!(finished, "index {index:?}\ncluster {state:?}\n{}", self.log);
    }

    fn is_in_sync(&mut self) -> bool {
        let index: State =
            self.machine.target().objects.iter().map(|(name, (object, _))| (*name, object.clone())).collect();
        index == *self.world.state()
    }
}

/// Runs the history that a fuzzer's bytes encode.
///
/// # Panics
///
/// As [`run_history`].
pub fn run_bytes(bytes: &[u8]) {
    let mut rest = bytes.iter();
    let mut next = |bound: u32| {
        let chosen = rest.next().map_or(0, |byte| u32::from(*byte));
        // Bounds above 256 take two bytes.
        let chosen =
            if bound > 256 { (chosen << 8) | rest.next().map_or(0, |byte| u32::from(*byte)) } else { chosen };
        chosen % bound.max(1)
    };
    let steps = u32::try_from(bytes.len() / 2).unwrap_or(u32::MAX).min(2000);
    run_history(steps, &mut next);
}
