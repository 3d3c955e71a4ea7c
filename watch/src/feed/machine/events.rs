//! Events of an exchange: responses, objects, ends of lists and watches.

use std::error::Error;
use std::time::Instant;

use super::cause::Cause;
use super::request::{ApiRequest, ListConsistency};
use super::resource_version::ResourceVersion;
use super::target::ObjectTarget;
use super::{CATCH_UP, Goal, MAX_CHANGED, Machine, Notice, SHORT_WATCH};
use crate::feed::decode::EventKind;
use crate::quote::QuotedText;

impl<T: ObjectTarget> Machine<T> {
    /// Reports that the server has accepted the request. The response body follows.
    pub(crate) fn accepted(&mut self, now: Instant) {
        let Some(exchange) = &mut self.exchange else { return };
        (exchange.opened, exchange.heard, exchange.event) = (Some(now), now, now);
        self.contact = Some(now);
        let begins = match exchange.request {
            ApiRequest::List { continue_token: None, .. } | ApiRequest::StreamingList { .. } => true,
            ApiRequest::Identify | ApiRequest::List { .. } | ApiRequest::Watch { .. } => false,
        };
        if matches!(exchange.request, ApiRequest::StreamingList { .. } | ApiRequest::Watch { .. }) {
            self.tracker.watched();
        }
        self.connections.reset();
        if begins {
            self.tracker.listing(true);
            self.target.begin();
        }
    }

    /// Reports that bytes of the response have arrived.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some(exchange) = &mut self.exchange {
            exchange.heard = now;
            self.contact = Some(now);
        }
    }

    /// Reports the response to [`ApiRequest::Identify`]: the uid of `kube-system`, if there is one, and the revision.
    pub(crate) fn identified(&mut self, now: Instant, uid: Option<&str>, revision: &str) {
        self.exchange = None;
        self.contact = Some(now);
        self.confirmed = true;
        let revision = if self.has_own_etcd { "" } else { revision };
        self.revision = revision.parse().ok();
        let known = self.cluster.as_deref();
        if known.is_none() && uid.is_none() {
            self.compare_servers(now);
        } else if known == uid {
            // The same cluster.
        } else if known.is_some() || self.tracker.has_list() {
            self.other_cluster(now, uid);
        } else {
            self.cluster = uid.map(str::to_owned);
        }
        let present = ResourceVersion::new(revision);
        // The remaining pages would be of another history than the first ones, so they do not form one list.
        self.list.take_if(|list| list.version.as_ref().is_some_and(|first| present.is_before(first)));
        if present.is_before(&self.version) {
            let text = format!(
                "the history of {} went back from version {} to {revision}: etcd was restored from a backup; \
                 listing again",
                self.subject.url,
                self.version.as_str()
            );
            self.out_of_sync(now, text, ListConsistency::Consistent);
            // Versions of the old history cannot be compared with versions of the new one.
            self.version = ResourceVersion::default();
        }
    }

    /// Compares the server with the one that the index is from, for a cluster without a uid. Another URL or other CA
    /// certificates may mean another cluster.
    pub(super) fn compare_servers(&mut self, now: Instant) {
        let seems_same = self.index_server.as_ref().is_none_or(|before| before.seems_same(&self.server));
        if seems_same || !(self.tracker.has_list() || self.is_filled) {
            self.index_server = Some(self.server.clone());
        } else {
            self.other_cluster(now, None);
        }
    }

    /// Relists because the server is, or may be, of another cluster than the index. It may be if one of the two has no
    /// uid.
    fn other_cluster(&mut self, now: Instant, uid: Option<&str>) {
        let text = self.describe_other_cluster(uid);
        if self.tracker.has_list() {
            self.out_of_sync(now, format!("{text}; listing again"), ListConsistency::Any);
        } else {
            self.tracker.forget();
            self.tracker.note(text.clone());
            self.notices.push(Notice::SnapshotRefused { text });
            self.goal = Goal::List(ListConsistency::Any);
            self.list = None;
        }
        self.cluster = uid.map(str::to_owned);
        self.of_other_cluster = true;
        self.has_own_etcd = false;
        self.version = ResourceVersion::default();
        self.index_server = Some(self.server.clone());
    }

    fn describe_other_cluster(&self, uid: Option<&str>) -> String {
        let url = &self.subject.url;
        if uid.is_none() && self.cluster.is_none() {
            return format!(
                "{url} may be another cluster than before: the configuration names another server or CA now, and neither \
                 returned a namespace kube-system"
            );
        }
        let show = |uid: Option<&str>| uid.map_or("unknown".to_owned(), |uid| QuotedText(uid).to_string());
        let may_be = if self.cluster.is_some() { "is" } else { "may be" };
        let (now, before) = (show(uid), show(self.cluster.as_deref()));
        format!("{url} {may_be} another cluster now: uid of namespace kube-system is {now} and was {before}")
    }

    /// Marks the index as out of sync, and relists.
    fn out_of_sync(&mut self, now: Instant, text: String, read: ListConsistency) {
        self.relist(now, read);
        self.tracker.note(text.clone());
        self.notices.push(Notice::OutOfSync { text });
    }

    /// Reports an object of a list.
    pub(crate) fn listed(&mut self, object: &T::Object) {
        self.target.apply(object);
    }

    /// Reports the end of a list or of a page, with its version. With a token, there are more pages.
    pub(crate) fn list_ended(&mut self, now: Instant, version: &str, token: Option<String>) {
        let Some(list) = &mut self.list else { return };
        // All pages should have the version of the first one. If a later page does not, a watch from the version of the
        // first page delivers the changes in between.
        let first = list.version.get_or_insert_with(|| ResourceVersion::new(version)).clone();
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            if list.token.as_ref() == Some(&token) {
                let text = "a page has the same continue token as the one before".to_owned();
                return self.failed(now, &Cause::garbage(text), now);
            }
            list.token = Some(token);
            self.exchange = None;
            return;
        }
        self.exchange = None;
        let _ = self.complete(now, &first);
    }

    /// Ends a list. If the list is older than requested, returns false and removes nothing.
    #[must_use]
    fn complete(&mut self, now: Instant, version: &ResourceVersion) -> bool {
        let Some(list) = self.list.take() else { return false };
        if let Goal::List(ListConsistency::NotOlderThan(wanted)) = &self.goal
            && version.is_before(&ResourceVersion::new(wanted))
        {
            let text = format!(
                "the {} of {} at {} has resource version {}, older than the requested {wanted}; listing again",
                list.method,
                self.subject,
                self.subject.url,
                version.as_str(),
            );
            self.out_of_sync(now, text, ListConsistency::Consistent);
            // If etcd was restored, its revision is lower, which identification detects.
            self.confirmed = false;
            return false;
        }
        // Between pages the revision may have increased, or gone back by a restore.
        let revision = self.revision.min(list.revision);
        if self.goal == Goal::List(ListConsistency::Consistent)
            && version.number().is_some_and(|number| Some(number) < revision)
        {
            // The list was read after the revision, so the revision is that of another etcd.
            (self.has_own_etcd, self.revision) = (true, None);
        }
        let removed = self.target.end();
        self.of_other_cluster = false;
        self.version = version.clone();
        self.goal = Goal::Watch;
        self.listing.succeeded(list.method);
        self.answers.reset();
        self.forbidden = None;
        self.tracker.listed(now);
        self.notices.push(Notice::Listed { method: list.method, removed });
        true
    }

    /// Reports a change of an object.
    pub(crate) fn event(&mut self, now: Instant, kind: EventKind, object: &T::Object) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.event = now;
        if matches!(exchange.request, ApiRequest::StreamingList { .. }) {
            return self.initial_event(now, kind, object);
        }
        let version = ResourceVersion::new(self.target.version(object));
        if kind != EventKind::Deleted && version.is_before(&self.version) {
            return self.went_back(now, &version);
        }
        match kind {
            EventKind::Added | EventKind::Modified => self.target.apply(object),
            EventKind::Deleted => self.target.delete(object),
        }
        let target = &self.target;
        self.resync.touch(|| target.key(object));
        self.advance(&version);
        self.notices.push(Notice::Changed);
        self.caught_up(now);
    }

    /// Processes an event before the end of the initial events: an object of the list, or a change.
    fn initial_event(&mut self, now: Instant, kind: EventKind, object: &T::Object) {
        let Some(list) = &mut self.list else { return };
        let version: Option<u64> = self.target.version(object).parse().ok();
        let key = self.target.key(object);
        let newer = list.changed.get(&key).copied() > version;
        if kind != EventKind::Added {
            if list.changed.len() >= MAX_CHANGED {
                let text = format!("more than {MAX_CHANGED} objects changed before the end of the list");
                return self.failed(now, &Cause::broken(text), now);
            }
            if let Some(version) = version.filter(|_| !newer) {
                list.changed.insert(key, version);
            }
        }
        match kind {
            EventKind::Deleted => self.target.delete(object),
            EventKind::Added | EventKind::Modified if newer => {}
            EventKind::Added | EventKind::Modified => self.target.apply(object),
        }
    }

    /// Reports a bookmark: the watch has reached this version. With `list_end`, a streaming list is complete.
    pub(crate) fn bookmark(&mut self, now: Instant, version: &str, list_end: bool) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.event = now;
        let version = ResourceVersion::new(version);
        match exchange.request.clone() {
            ApiRequest::StreamingList { timeout, .. } if list_end => {
                exchange.request = ApiRequest::Watch { version: version.as_str().to_owned(), timeout };
                let changed = self.list.iter().flat_map(|list| list.changed.values()).max().copied();
                let newest = match (changed, version.number()) {
                    (Some(changed), Some(number)) if changed > number => {
                        ResourceVersion::new(&changed.to_string())
                    }
                    _ => version,
                };
                if self.complete(now, &newest) {
                    self.bookmarks = true;
                    self.settle();
                }
            }
            ApiRequest::Watch { .. } if version.is_before(&self.version) => self.went_back(now, &version),
            ApiRequest::Watch { .. } => {
                self.bookmarks = true;
                self.advance(&version);
                self.caught_up(now);
            }
            ApiRequest::Identify | ApiRequest::List { .. } | ApiRequest::StreamingList { .. } => {}
        }
    }

    /// Reports a change of an object that cannot be decoded. The change may have been a deletion.
    pub(crate) fn unreadable(
        &mut self,
        now: Instant,
        kind: EventKind,
        fault: impl Into<Box<dyn Error + Send + Sync>>,
    ) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.event = now;
        let initial = matches!(exchange.request, ApiRequest::StreamingList { .. });
        if !(initial && kind == EventKind::Added) {
            self.failed(now, &Cause::Unreadable(fault.into().into()), now);
        }
    }

    /// Reports that the response has ended without an HTTP error.
    pub(crate) fn ended(&mut self, now: Instant) {
        let Some(exchange) = &self.exchange else { return };
        let (ApiRequest::Watch { .. }, Some(opened)) = (&exchange.request, exchange.opened) else {
            return self.failed(now, &Cause::CutOff, now);
        };
        let lived = now.saturating_duration_since(opened);
        self.exchange = None;
        self.contact = Some(now);
        self.tracker.down(now, now);
        if lived < SHORT_WATCH {
            self.not_before = Some(now + self.short.next(&mut self.random));
        } else {
            self.short.reset();
        }
    }

    fn advance(&mut self, version: &ResourceVersion) {
        if !version.as_str().is_empty() && !version.is_before(&self.version) {
            self.version.set(version.as_str());
        }
    }

    /// Marks the watch as established once it has reached the revision that the cluster had when the watch began.
    fn caught_up(&mut self, now: Instant) {
        let settled = self.exchange.as_ref().is_some_and(|exchange| exchange.settled);
        let opened = self.exchange.as_ref().and_then(|exchange| exchange.opened);
        let behind = self.interrupted && self.version.number() < self.revision;
        if !settled && !behind {
            self.settle();
        } else if behind && opened.is_some_and(|opened| now >= opened + CATCH_UP) {
            let text = format!(
                "the watch of {} at {} is behind the cluster after {} s; listing again",
                self.subject,
                self.subject.url,
                CATCH_UP.as_secs(),
            );
            return self.out_of_sync(now, text, ListConsistency::Consistent);
        }
        self.resync_caught_up();
    }

    /// Relists after a watch that went back to an older version.
    fn went_back(&mut self, now: Instant, to: &ResourceVersion) {
        let text = format!(
            "the watch of {} at {} went back from version {} to {}; listing again",
            self.subject,
            self.subject.url,
            self.version.as_str(),
            QuotedText(to.as_str()),
        );
        let read = self.not_older();
        self.out_of_sync(now, text, read);
        // If etcd was restored, its revision is lower, which identification detects.
        self.confirmed = false;
        self.not_before = Some(now + self.short.next(&mut self.random));
    }
}
