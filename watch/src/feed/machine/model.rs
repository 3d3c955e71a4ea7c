//! A model of an API server that does whatever one may do, to drive the machine through random histories.
//!
//! For property tests and fuzz targets. The server orders initial events of streaming lists as it likes, repeats,
//! cuts off, stalls, refuses, lags behind, compacts its history, goes back to a backup, and is replaced by another
//! cluster. In the end it behaves, and then the index must be what the cluster is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::cause::{Cause, Refusal};
use super::listing::{Listing, Method};
use super::request::{Read, Request};
use super::standing::Standing;
use super::target::{Difference, Key, Target};
use super::{Machine, Notice, Poll};
use crate::feed::decode::{EventKind, Malformed};
use crate::feed::explain::Subject;

/// Where decisions come from: a number below the bound.
pub type Choose<'a> = dyn FnMut(u32) -> u32 + 'a;

/// Names of objects. The first one always exists.
const NAMES: u32 = 6;
/// Steps in which a server that behaves must bring the index in sync.
const PATIENCE: u32 = 4000;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    name: u32,
    uid: u32,
    address: u32,
    version: String,
}

type State = BTreeMap<u32, Object>;

#[derive(Clone, Debug)]
struct Change {
    version: u64,
    kind: EventKind,
    object: Object,
}

/// A cluster, with its history.
#[derive(Clone, Debug)]
struct World {
    cluster: String,
    /// The state at each version, the first one first.
    states: Vec<(u64, State)>,
    changes: Vec<Change>,
    compacted: u64,
    uids: u32,
}

impl World {
    fn new(cluster: u32, version: u64, uids: u32) -> Self {
        let mut world = Self {
            cluster: format!("cluster-{cluster}"),
            states: vec![(version, State::new())],
            changes: Vec::new(),
            compacted: 0,
            uids,
        };
        world.put(0, 0);
        world.states.remove(0);
        world.compacted = world.version();
        world
    }

    fn version(&self) -> u64 {
        self.states.last().map_or(0, |(version, _)| *version)
    }

    fn state(&self) -> &State {
        self.states.last().map(|(_, state)| state).expect("there is always one")
    }

    fn state_at(&self, version: u64) -> &State {
        let found = self.states.iter().rev().find(|(at, _)| *at <= version);
        found.map_or(&self.states[0].1, |(_, state)| state)
    }

    fn record(&mut self, kind: EventKind, mut object: Object, skip: u64) {
        let version = self.version() + 1 + skip;
        object.version = version.to_string();
        let mut state = self.state().clone();
        match kind {
            EventKind::Deleted => drop(state.remove(&object.name)),
            _ => drop(state.insert(object.name, object.clone())),
        }
        self.states.push((version, state));
        self.changes.push(Change { version, kind, object });
    }

    fn put(&mut self, name: u32, address: u32) {
        let known = self.state().get(&name).map(|object| object.uid);
        self.uids += u32::from(known.is_none());
        let kind = if known.is_some() { EventKind::Modified } else { EventKind::Added };
        let uid = known.unwrap_or(self.uids);
        self.record(kind, Object { name, uid, address, version: String::new() }, 0);
    }

    fn delete(&mut self, name: u32) {
        if let Some(object) = self.state().get(&name).cloned() {
            self.record(EventKind::Deleted, object, 0);
        }
    }

    /// Deleted and created again, and watches are told only of the new one.
    fn replace(&mut self, name: u32, address: u32) {
        self.uids += 1;
        let object = Object { name, uid: self.uids, address, version: String::new() };
        self.record(EventKind::Modified, object, 1);
    }

    /// Goes back to the state that it had at an earlier version, as from a backup.
    fn restore(&mut self, version: u64) {
        self.states.retain(|(at, _)| *at <= version);
        self.changes.retain(|change| change.version <= version);
        self.compacted = self.compacted.min(self.version());
    }
}

/// The index, as far as the machine sees it: objects by name, removed only with their uid.
#[derive(Debug, Default)]
struct Index {
    objects: BTreeMap<u32, (Object, bool)>,
}

impl Target for Index {
    type Object = Object;

    fn begin(&mut self) {
        self.objects.values_mut().for_each(|(_, seen)| *seen = false);
    }

    fn apply(&mut self, object: &Object) {
        self.objects.insert(object.name, (object.clone(), true));
    }

    fn delete(&mut self, object: &Object) {
        if self.objects.get(&object.name).is_some_and(|(known, _)| known.uid == object.uid) {
            self.objects.remove(&object.name);
        }
    }

    fn end(&mut self) -> usize {
        let before = self.objects.len();
        self.objects.retain(|_, (_, seen)| *seen);
        before - self.objects.len()
    }

    fn malformed(&mut self, _: &Malformed) {}

    fn compare(&mut self, object: &Object) -> Option<Difference> {
        match self.objects.get_mut(&object.name) {
            None => Some(Difference::Missing),
            Some((known, seen)) => {
                *seen = true;
                (known != object).then_some(Difference::Changed)
            }
        }
    }

    fn end_comparison(&mut self, each: &mut dyn FnMut(String)) {
        self.objects.retain(|name, (_, seen)| {
            if !*seen {
                each(name.to_string());
            }
            *seen
        });
    }

    fn name(&self, object: &Object) -> String {
        object.name.to_string()
    }

    fn key(&self, object: &Object) -> Key {
        object.name.into()
    }

    fn version<'a>(&self, object: &'a Object) -> &'a str {
        &object.version
    }
}

/// What the server still has to say in an exchange.
#[derive(Debug)]
enum Answer {
    /// Objects, then the end of the page.
    List { items: Vec<Object>, version: u64, token: Option<String> },
    /// The initial events that are left, then the end of the list, then changes.
    Stream { initial: Vec<Object>, ends: bool, sent: u64 },
    /// Changes after a version.
    Watch { sent: u64 },
    /// Nothing any more.
    Stalled,
}

/// A machine, a server, and the time.
struct Life<'a> {
    machine: Machine<Index>,
    world: World,
    now: Instant,
    answer: Option<Answer>,
    choose: &'a mut Choose<'a>,
    /// Whether the server behaves.
    sound: bool,
    /// Whether it waits until it is asked who it is.
    idle: bool,
    /// Whether it has streaming lists.
    streams: u32,
    synced: bool,
    log: String,
}

/// Lives through one history of so many steps and checks that the index is the cluster in the end.
///
/// # Panics
///
/// If it is not, or an object that is always there was missing once the index was in sync.
pub fn live(steps: u32, choose: &mut Choose<'_>) {
    let methods = [Method::Cached, Method::Streaming, Method::Paged];
    let first = choose(3) as usize;
    let preferred: Vec<Method> = methods.iter().cycle().skip(first).take(3).copied().collect();
    let subject = Subject { resource: "pods", namespace: None, url: "https://model/".into() };
    let random = fastrand::Rng::with_seed(u64::from(choose(1 << 16)));
    let mut machine =
        Machine::new(Index::default(), subject, Listing::new(&preferred, 1 + choose(4)), random);
    let world = World::new(0, u64::from(choose(50)), 0);
    if choose(4) == 0 {
        machine.filled_from(Some(world.cluster.clone()));
    }
    let streams = choose(4);
    let mut choose = |bound: u32| choose(bound);
    let mut life = Life {
        machine,
        world,
        now: Instant::now(),
        answer: None,
        choose: &mut choose,
        sound: false,
        idle: false,
        streams,
        synced: false,
        log: String::new(),
    };
    for _ in 0..steps {
        life.step();
    }
    life.sound = true;
    life.finish();
}

impl Life<'_> {
    fn choose(&mut self, bound: u32) -> u32 {
        (self.choose)(bound)
    }

    /// One in so many, unless the server behaves.
    fn trouble(&mut self, rarity: u32) -> bool {
        !self.sound && self.choose(rarity) == 0
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        if self.log.len() < 1 << 16 {
            let _ = writeln!(self.log, "{line}");
        }
    }

    fn step(&mut self) {
        if !self.sound {
            self.change_world();
        }
        match self.machine.poll(self.now) {
            Poll::Send(request) => {
                self.note(format_args!("send {request:?}"));
                self.receive(&request);
            }
            Poll::Wait(at) => {
                if !self.machine.is_waiting() {
                    self.answer = None;
                }
                self.wait(at);
            }
        }
        self.check();
    }

    /// The server goes on with its answer, or time passes.
    fn wait(&mut self, at: Option<Instant>) {
        let pass = self.answer.is_none() || (!self.sound && self.choose(3) == 0);
        if pass || !self.go_on() {
            let to = at.unwrap_or(self.now + Duration::from_secs(1)).max(self.now);
            let whole = self.sound || self.choose(2) == 0;
            let time = to.saturating_duration_since(self.now);
            self.now += if whole { time } else { time / 2 };
        }
    }

    fn check(&mut self) {
        let index = self.machine.target();
        let anchored = index.objects.contains_key(&0);
        self.synced |= self.machine.notices().any(|notice| matches!(notice, Notice::Listed { .. }));
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
            _ => {}
        }
    }

    /// The server goes and comes back, which takes time. It changes nothing before it was asked who it is: a history
    /// that went back and has caught up since cannot be told from one that never did.
    fn restart(&mut self) {
        self.idle = true;
        self.fail(&Cause::Broken("restart".to_owned()));
        self.now += Duration::from_secs(2);
    }

    fn fail(&mut self, cause: &Cause) {
        self.note(format_args!("fail {cause:?}"));
        self.answer = None;
        self.machine.failed(self.now, cause, self.now);
    }

    fn refuse(&mut self, code: u16, message: &str) {
        self.fail(&Cause::Status(Refusal { code, message: message.to_owned(), retry_after: None }));
    }

    fn receive(&mut self, request: &Request) {
        self.answer = None;
        if self.trouble(8) {
            return match self.choose(8) {
                0 => self.fail(&Cause::Unreachable("refused".to_owned())),
                1 => self.fail(&Cause::Garbage("<html>".to_owned())),
                // No answer at all: the machine must lose patience.
                2 => {}
                _ => {
                    let codes = [401, 403, 429, 500, 503, 504, 400, 410];
                    let code = codes[self.choose(8) as usize];
                    self.refuse(code, "no");
                }
            };
        }
        let Some(answer) = self.answer(request) else { return };
        self.machine.accepted(self.now);
        self.answer = Some(if self.trouble(20) { Answer::Stalled } else { answer });
    }

    /// A version of the watch cache that a read may see.
    fn seen(&mut self, read: &Read) -> Option<u64> {
        let newest = self.world.version();
        let oldest = match read {
            Read::Any => newest.saturating_sub(5).max(self.world.states[0].0),
            Read::NotOlderThan(version) => version.parse().expect("a version of ours"),
            Read::Consistent => newest,
        };
        let span = u32::try_from(newest.checked_sub(oldest)?).expect("few versions");
        Some(if self.sound { newest } else { oldest + u64::from(self.choose(span + 1)) })
    }

    /// Begins an answer; `None` if there is none, and the machine knows.
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        match request {
            Request::Identify => {
                let (cluster, version) = (self.world.cluster.clone(), self.world.version().to_string());
                self.idle = false;
                self.machine.accepted(self.now);
                self.machine.identified(self.now, Some(&cluster), &version);
                None
            }
            Request::List { continue_token: Some(token), limit, .. } => {
                let mut parts = token.split('/').map(|part| part.parse::<u64>().expect("a token of ours"));
                let (version, after) = (parts.next().expect("version"), parts.next().expect("name"));
                if version < self.world.compacted || version > self.world.version() {
                    self.refuse(410, "expired");
                    return None;
                }
                Some(self.page(version, Some(after), *limit))
            }
            Request::List { read, limit, .. } => match self.seen(read) {
                None => {
                    self.refuse(504, "Too large resource version: 9, current: 1");
                    None
                }
                Some(version) => Some(self.page(version, None, *limit)),
            },
            Request::StreamingList { read, .. } => self.stream(read),
            Request::Watch { version, .. } => {
                let version: u64 = version.parse().expect("a version of ours");
                if version < self.world.compacted && self.choose(2) == 0 {
                    self.refuse(410, "too old resource version");
                    return None;
                }
                Some(Answer::Watch { sent: version })
            }
        }
    }

    fn page(&self, version: u64, after: Option<u64>, limit: Option<u32>) -> Answer {
        let all = self.world.state_at(version).values();
        let mut items: Vec<Object> =
            all.filter(|object| after.is_none_or(|after| u64::from(object.name) > after)).cloned().collect();
        let limit = limit.map_or(usize::MAX, |limit| limit as usize);
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map_or(0, |object| object.name);
        items.reverse();
        Answer::List { items, version, token: more.then(|| format!("{version}/{last}")) }
    }

    fn stream(&mut self, read: &Read) -> Option<Answer> {
        match self.streams {
            0 => {
                self.refuse(422, "sendInitialEvents: Forbidden");
                None
            }
            1 => {
                self.refuse(500, "etcd does not support RequestWatchProgress");
                None
            }
            kind => match self.seen(read) {
                None => {
                    self.refuse(504, "Too large resource version: 9, current: 1");
                    None
                }
                Some(sent) => {
                    let initial = self.world.state_at(sent).values().cloned().collect();
                    // The third kind ignores the parameter, and never sends the end.
                    Some(Answer::Stream { initial, ends: kind == 2, sent })
                }
            },
        }
    }

    /// Sends some more of the answer. Returns whether there was anything to send.
    fn go_on(&mut self) -> bool {
        if self.trouble(40) {
            let cause = match self.choose(4) {
                0 => Cause::Garbage("nonsense".to_owned()),
                1 => Cause::Silence(Duration::from_secs(20)),
                _ => Cause::Broken("reset".to_owned()),
            };
            self.fail(&cause);
            return true;
        }
        if self.trouble(40) {
            self.note(format_args!("end"));
            self.answer = None;
            self.machine.ended(self.now);
            return true;
        }
        if !matches!(self.answer, None | Some(Answer::Stalled)) {
            self.machine.heard(self.now);
        }
        match self.answer.take() {
            None => false,
            Some(Answer::Stalled) => {
                self.answer = Some(Answer::Stalled);
                false
            }
            Some(Answer::List { mut items, version, token }) => {
                if let Some(object) = items.pop() {
                    self.machine.listed(&object);
                    self.answer = Some(Answer::List { items, version, token });
                } else {
                    self.note(format_args!("list ends at {version} {token:?}"));
                    self.machine.list_ended(self.now, &version.to_string(), token);
                }
                true
            }
            Some(Answer::Stream { initial, ends, sent }) => self.go_on_stream(initial, ends, sent),
            Some(Answer::Watch { sent }) => self.go_on_watch(sent),
        }
    }

    fn go_on_stream(&mut self, mut initial: Vec<Object>, ends: bool, mut sent: u64) -> bool {
        let live = self.choose(3) == 0;
        if live && let Some(change) = self.next_change(sent) {
            sent = change.version;
            self.note(format_args!("initial change {change:?}"));
            self.machine.event(self.now, change.kind, &change.object);
        } else if !initial.is_empty() {
            let at = self.choose(u32::try_from(initial.len()).unwrap_or(1)) as usize;
            let object = initial.swap_remove(at);
            self.note(format_args!("initial {object:?}"));
            self.machine.event(self.now, EventKind::Added, &object);
        } else if ends {
            self.note(format_args!("initial events end at {sent}"));
            self.machine.bookmark(self.now, &sent.to_string(), true);
            self.answer = Some(Answer::Watch { sent });
            return true;
        } else {
            self.answer = Some(Answer::Stalled);
            return false;
        }
        if self.machine.is_waiting() {
            self.answer = Some(Answer::Stream { initial, ends, sent });
        }
        true
    }

    fn next_change(&self, after: u64) -> Option<Change> {
        self.world.changes.iter().find(|change| change.version > after).cloned()
    }

    fn go_on_watch(&mut self, mut sent: u64) -> bool {
        if sent < self.world.compacted && self.next_change(sent).is_some() {
            self.refuse(410, "too old resource version");
            return true;
        }
        if self.trouble(20) {
            self.repeat(sent);
        } else if let Some(change) = self.next_change(sent) {
            sent = change.version;
            if self.trouble(20) {
                self.note(format_args!("unreadable {change:?}"));
                self.machine.unreadable(self.now, change.kind, "nonsense".to_owned());
            } else {
                self.note(format_args!("{change:?}"));
                self.machine.event(self.now, change.kind, &change.object);
            }
        } else if sent <= self.world.version() && self.choose(4) == 0 {
            // A server whose history is behind the watch sends no bookmarks.
            self.note(format_args!("bookmark {sent}"));
            self.machine.bookmark(self.now, &sent.to_string(), false);
        } else {
            self.answer = Some(Answer::Watch { sent });
            return false;
        }
        if self.machine.is_waiting() {
            self.answer = Some(Answer::Watch { sent });
        }
        true
    }

    /// Sends a change again that was sent before.
    fn repeat(&mut self, sent: u64) {
        let old: Vec<Change> =
            self.world.changes.iter().filter(|change| change.version <= sent).cloned().collect();
        if old.is_empty() {
            return;
        }
        let at = self.choose(u32::try_from(old.len()).unwrap_or(1)) as usize;
        self.note(format_args!("again {:?}", old[at]));
        self.machine.event(self.now, old[at].kind, &old[at].object);
    }

    /// The server behaves from now on: the index becomes what the cluster is.
    fn finish(&mut self) {
        let finished = (0..PATIENCE).any(|_| {
            self.step();
            let watching =
                matches!(&self.answer, Some(Answer::Watch { sent }) if self.next_change(*sent).is_none());
            watching && self.machine.standing() == Standing::Fresh && self.is_in_sync()
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

/// Lives through the history that a fuzzer's bytes choose.
///
/// # Panics
///
/// As [`live`].
pub fn live_bytes(bytes: &[u8]) {
    let mut rest = bytes.iter();
    let mut next = |bound: u32| {
        let chosen = rest.next().map_or(0, |byte| u32::from(*byte));
        // Beyond a byte's reach two are one choice.
        let chosen =
            if bound > 256 { (chosen << 8) | rest.next().map_or(0, |byte| u32::from(*byte)) } else { chosen };
        chosen % bound.max(1)
    };
    let steps = u32::try_from(bytes.len() / 2).unwrap_or(u32::MAX).min(2000);
    live(steps, &mut next);
}
