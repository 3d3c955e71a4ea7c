//! The pods as a client sees them, where not all clients see all.

use core::cell::Cell;
use core::net::IpAddr;

use crate::Label;
use crate::config::Config;
use crate::lookup::{Freshness, Owner, PodLookup, Unknown};

/// The pods of the namespaces that a client sees; the others do not exist.
///
/// The time of an answer must not show a client what the answer hides. So the first look-up of each question is
/// whether the client sees the namespace, by the client's own address, and its work does not depend on whether there is
/// such a namespace; if it does not, there is no second one.
#[derive(Debug)]
pub(crate) struct Visible<'a, P: ?Sized> {
    pods: &'a P,
    /// `None` if it is not known: it sees nothing.
    client: Option<IpAddr>,
    /// The client sees everything.
    everything: bool,
    /// Something was hidden.
    hidden: Cell<bool>,
}

impl<'a, P: PodLookup + ?Sized> Visible<'a, P> {
    pub(crate) fn new(config: &Config<'_>, pods: &'a P, client: Option<IpAddr>) -> Self {
        let is_among = |client: IpAddr| config.visible_to.iter().any(|network| network.contains(&client));
        let everything = !config.hides() || client.is_some_and(is_among);
        Self { pods, client, everything, hidden: Cell::new(false) }
    }

    /// Returns whether a look-up found nothing because the client may not see it, or because there is nothing.
    pub(crate) fn has_hidden(&self) -> bool {
        self.hidden.get()
    }

    fn note(&self, sees: bool) -> bool {
        if !sees {
            self.hidden.set(true);
        }
        sees
    }

    /// Returns whether the client sees the namespace, if there is one.
    fn sees(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(match self.client {
            _ if self.everything => true,
            Some(client) => self.note(self.pods.contains(namespace, client)?),
            None => self.note(false),
        })
    }

    /// Returns whether the client sees a namespace that has a pod of this address, if there is one.
    fn sees_address(&self, address: IpAddr) -> Result<bool, Unknown> {
        Ok(match self.client {
            _ if self.everything => true,
            Some(client) => self.note(self.pods.share_namespace(client, address)?),
            None => self.note(false),
        })
    }
}

impl<P: PodLookup + ?Sized> PodLookup for Visible<'_, P> {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        // One that the client sees has a pod, so it exists.
        if self.everything { self.pods.namespace_exists(namespace) } else { self.sees(namespace) }
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        Ok(self.sees(namespace)? && self.pods.contains(namespace, address)?)
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        if self.sees(namespace)? { self.pods.addresses_of(namespace, pod, each) } else { Ok(()) }
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        if !self.sees_address(address)? {
            return Ok(Owner::Nobody);
        }
        let owner = self.pods.owner_of(address)?;
        // The address may be another pod's by now.
        let sees = match &owner {
            Owner::Nobody => true,
            Owner::Pod { namespace, .. } => self.sees(namespace)?,
            Owner::Shared => self.sees_address(address)?,
        };
        Ok(if sees { owner } else { Owner::Nobody })
    }

    fn freshness(&self) -> Freshness {
        self.pods.freshness()
    }

    fn namespace_freshness(&self) -> Freshness {
        self.pods.namespace_freshness()
    }

    fn serial(&self) -> u32 {
        self.pods.serial()
    }
}
