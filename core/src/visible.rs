//! The pods visible to a client, if not all clients see all pods.

use core::cell::Cell;
use core::net::IpAddr;

use crate::Label;
use crate::config::Config;
use crate::lookup::{Freshness, Owner, PodLookup, Unknown};

/// The pods of the namespaces that are visible to a client; others do not exist.
///
/// The time that an answer takes must not reveal hidden names. So the first look-up for each question is whether the
/// client, by its address, sees the namespace, and its duration does not depend on whether the namespace exists. If
/// the client does not see it, there is no second look-up.
#[derive(Debug)]
pub(crate) struct Visible<'a, P: ?Sized> {
    pods: &'a P,
    /// `None` if the client is not known: it sees nothing.
    client: Option<IpAddr>,
    /// True if the client sees everything.
    everything: bool,
    /// True if a look-up was denied.
    hidden: Cell<bool>,
}

impl<'a, P: PodLookup + ?Sized> Visible<'a, P> {
    pub(crate) fn new(config: &Config<'_>, pods: &'a P, client: Option<IpAddr>) -> Self {
        let is_among = |client: IpAddr| config.visible_to.iter().any(|network| network.contains(&client));
        let everything = !config.hides_pods() || client.is_some_and(is_among);
        Self { pods, client, everything, hidden: Cell::new(false) }
    }

    /// Returns whether a look-up was denied: the namespace is hidden from the client, or does not exist.
    pub(crate) fn has_hidden(&self) -> bool {
        self.hidden.get()
    }

    fn note(&self, sees: bool) -> bool {
        if !sees {
            self.hidden.set(true);
        }
        sees
    }

    /// Returns whether the client sees the namespace. Records a denial.
    fn sees(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(match self.client {
            _ if self.everything => true,
            Some(client) => self.note(self.pods.contains(namespace, client)?),
            None => self.note(false),
        })
    }

    /// Returns whether the client sees a namespace that has a pod with this address. Records a denial.
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
        // A namespace that the client sees has a pod, so it exists.
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
            return Ok(Owner::None);
        }
        let owner = self.pods.owner_of(address)?;
        // The address may have moved to another pod since.
        let sees = match &owner {
            Owner::None => true,
            Owner::Pod { namespace, .. } => self.sees(namespace)?,
            Owner::Shared => self.sees_address(address)?,
        };
        Ok(if sees { owner } else { Owner::None })
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
