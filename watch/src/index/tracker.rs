//! Reports from the writer to the versions of the zone: records that appear and vanish.

use std::collections::HashMap;
use std::net::IpAddr;

use super::addresses::Holder;
use super::numbers::{NamespaceId, Number, Row};
use super::reader::Index;
use super::sharing::Claim;
use super::types::ListScope;
use crate::transfer::{Position, RecordKey, Versions, WalkPhase};

/// Namespaces of each shared address.
pub(super) type SharedNamespaces = HashMap<IpAddr, Vec<NamespaceId>>;

/// The versions of an index, and the additional state that they need.
#[derive(Debug)]
pub(super) struct VersionTracker {
    pub(super) versions: Versions,
    /// The namespaces of each address that several pods share. The index itself has only look-ups by address and
    /// namespace together.
    pub(super) shared: SharedNamespaces,
    /// Lists under way.
    lists: Vec<ListScope>,
}

impl VersionTracker {
    pub(super) fn new(versions: Versions, shared: SharedNamespaces) -> Self {
        Self { versions, shared, lists: Vec::new() }
    }

    /// Records that an address is about to get another holder.
    pub(super) fn attaching(&mut self, index: &Index, address: IpAddr, claim: Claim) {
        let namespace = claim.namespace;
        let is_new = match index.addresses.holder(address) {
            Holder::None => true,
            Holder::Sole(first) => {
                let first = index.namespace_of(first);
                let mut namespaces: Vec<_> = first.into_iter().collect();
                if first != Some(namespace) {
                    namespaces.push(namespace);
                }
                self.shared.insert(address, namespaces);
                first != Some(namespace)
            }
            Holder::Shared(number) => {
                let is_new = !index.addresses.is_shared_in(number, namespace);
                if is_new {
                    self.shared.entry(address).or_default().push(namespace);
                }
                is_new
            }
        };
        if is_new && let Some(label) = index.namespaces.label(namespace) {
            self.versions.appears(&RecordKey::new(&label, None, address));
        }
    }

    /// Records that an address has lost a holder.
    pub(super) fn detached(&mut self, index: &Index, address: IpAddr, claim: Claim) {
        let namespace = claim.namespace;
        let is_gone = match index.addresses.holder(address) {
            Holder::None => true,
            Holder::Sole(rest) => {
                self.shared.remove(&address);
                index.namespace_of(rest) != Some(namespace)
            }
            Holder::Shared(number) => {
                let is_gone = !index.addresses.is_shared_in(number, namespace);
                if is_gone && let Some(namespaces) = self.shared.get_mut(&address) {
                    namespaces.retain(|&other| other != namespace);
                }
                is_gone
            }
        };
        if is_gone && let Some(label) = index.namespaces.label(namespace) {
            let phase = if address.is_ipv4() { WalkPhase::V4 } else { WalkPhase::V6 };
            let position = Position(phase, index.addresses.position(address));
            self.versions.vanishes(&RecordKey::new(&label, None, address), position);
        }
    }

    /// Records that a pod with a name gets an address (`is_there`) or loses it.
    pub(super) fn named(&mut self, index: &Index, row: Row, address: IpAddr, is_there: bool) {
        let name = index.names.as_ref().and_then(|names| names.of(row)?.label());
        let namespace = index.pods.entry(row).namespace().and_then(|id| index.namespaces.label(id));
        let (Some(name), Some(namespace)) = (name, namespace) else { return };
        let record = RecordKey::new(&namespace, Some(&name), address);
        if is_there {
            self.versions.appears(&record);
        } else {
            self.versions.vanishes(&record, Position(WalkPhase::Names, row.get().into()));
        }
    }

    /// Records that a list begins.
    pub(super) fn begin_list(&mut self, scope: &ListScope) {
        // A list that was interrupted begins again.
        if !self.lists.contains(scope) {
            self.lists.push(*scope);
        }
        self.versions.set_lists(self.lists.len());
    }

    /// Records that a list is complete.
    pub(super) fn end_list(&mut self, scope: &ListScope) {
        self.lists.retain(|other| other != scope);
        self.versions.set_lists(self.lists.len());
    }
}
