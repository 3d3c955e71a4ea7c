//! The API server of the model: its responses and its errors.

use std::time::Duration;

use super::run::{Answer, ModelRun};
use super::world::{Change, Object};
use crate::feed::decode::EventKind;
use crate::feed::machine::cause::Cause;
use crate::feed::machine::request::{ApiRequest, ListConsistency};

impl ModelRun<'_> {
    pub(super) fn receive(&mut self, request: &ApiRequest) {
        self.answer = None;
        if self.trouble(8) {
            return match self.choose(8) {
                0 => self.fail(&Cause::unreachable("refused")),
                1 => self.fail(&Cause::garbage("<html>")),
                // No response at all: the machine must time out.
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

    /// Returns a version of the watch cache that a read may return; `None` if the server has not reached it.
    pub(super) fn seen(&mut self, read: &ListConsistency) -> Option<u64> {
        let newest = self.world.version();
        let oldest = match read {
            ListConsistency::Any => newest.saturating_sub(5).max(self.world.states[0].0),
            ListConsistency::NotOlderThan(version) => version.parse().expect("a version of ours"),
            ListConsistency::Consistent => newest,
        };
        let span = u32::try_from(newest.checked_sub(oldest)?).expect("few versions");
        Some(if self.sound { newest } else { oldest + u64::from(self.choose(span + 1)) })
    }

    /// Begins a response; `None` if the machine has already received all of it.
    fn answer(&mut self, request: &ApiRequest) -> Option<Answer> {
        match request {
            ApiRequest::Identify => {
                let (cluster, version) = (self.world.cluster.clone(), self.world.version().to_string());
                self.idle = false;
                self.machine.accepted(self.now);
                self.machine.identified(self.now, Some(&cluster), &version);
                None
            }
            ApiRequest::List { continue_token: Some(token), limit, .. } => {
                let mut parts = token.split('/').map(|part| part.parse::<u64>().expect("a token of ours"));
                let (version, after) = (parts.next().expect("version"), parts.next().expect("name"));
                if version < self.world.compacted || version > self.world.version() {
                    self.refuse(410, "expired");
                    return None;
                }
                Some(self.page(version, Some(after), *limit))
            }
            ApiRequest::List { read, limit, .. } => match self.seen(read) {
                None => {
                    self.refuse(504, "Too large resource version: 9, current: 1");
                    None
                }
                Some(version) => Some(self.page(version, None, *limit)),
            },
            ApiRequest::StreamingList { read, .. } => self.stream(read),
            ApiRequest::Watch { version, .. } => {
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

    fn stream(&mut self, read: &ListConsistency) -> Option<Answer> {
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
                    // The third kind ignores the parameter and never sends the end.
                    Some(Answer::Stream { initial, ends: kind == 2, sent })
                }
            },
        }
    }

    /// Sends the next part of the response. Returns whether there was anything to send.
    pub(super) fn advance(&mut self) -> bool {
        if self.trouble(40) {
            let cause = match self.choose(4) {
                0 => Cause::garbage("nonsense"),
                1 => Cause::Silence(Duration::from_secs(20)),
                _ => Cause::broken("reset"),
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
            Some(Answer::Stream { initial, ends, sent }) => self.advance_stream(initial, ends, sent),
            Some(Answer::Watch { sent }) => self.advance_watch(sent),
        }
    }

    fn advance_stream(&mut self, mut initial: Vec<Object>, ends: bool, mut sent: u64) -> bool {
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

    pub(super) fn next_change(&self, after: u64) -> Option<Change> {
        self.world.changes.iter().find(|change| change.version > after).cloned()
    }

    fn advance_watch(&mut self, mut sent: u64) -> bool {
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
                self.machine.unreadable(self.now, change.kind, "nonsense");
            } else {
                self.note(format_args!("{change:?}"));
                self.machine.event(self.now, change.kind, &change.object);
            }
        } else if sent <= self.world.version() && self.choose(4) == 0 {
            // A server whose history is behind the watch sends no bookmarks; other servers send them occasionally.
            self.now += Duration::from_secs(1);
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

    /// Sends an earlier change again.
    fn repeat(&mut self, sent: u64) {
        let old: Vec<Change> =
            self.world.changes.iter().filter(|change| change.version <= sent).cloned().collect();
        if old.is_empty() {
            return;
        }
        let at = self.choose(u32::try_from(old.len()).unwrap_or(1)) as usize;
        self.note(format_args!("again {:?}", old[at]));
        self.faults.repeated.insert(old[at].object.name);
        self.machine.event(self.now, old[at].kind, &old[at].object);
    }
}
