//! Conflicts between settings.

use std::collections::BTreeSet;

use poddns_core::{Mode, ReverseZones, Visibility};

use super::error::Problem;
use super::layer::Layer;
use super::options;
use crate::server::cookies::CookieSource;
use crate::server::settings::{Needs, Settings, TransferSettings};

/// State of the search for conflicts between settings that are valid on their own.
pub(super) struct Conflicts<'a> {
    pub(super) given: &'a Layer,
    pub(super) settings: &'a Settings,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Conflicts<'_> {
    pub(super) fn find(&mut self) {
        self.sources();
        self.modes();
        self.clients();
        self.doubles();
        self.abuse();
    }

    /// Reports a conflict of the setting if it is set explicitly.
    fn refuse(&mut self, key: &'static str, why: impl Into<String>) {
        if let Some(written) = self.given.written(key) {
            self.problems.push(Problem::Conflict { written, why: why.into() });
        }
    }

    fn sources(&mut self) {
        if let Some(file) = self.given.written("pods-file") {
            let why = format!("cannot be combined with {file}: pods come from a cluster or from a file");
            self.refuse("kubeconfig", why.clone());
            self.refuse("context", why);
            let why = format!("has no effect with {file}, which is there at every start; leave it out");
            self.refuse("snapshot", why);
        }
        for option in options::all().filter(|option| !option.needs.is_empty()) {
            if self.given.get(option.needs).is_none() {
                let why = format!("has no effect without {}; leave it out, or set that, too", option.needs);
                self.refuse(option.name, why);
            }
        }
        if self.settings.needs() == Needs::Nothing {
            let why = "has no effect, because nothing is read from a cluster in this mode; leave it out, or use \
                       --pods verified, or --pods insecure with --check-namespaces or --audit";
            for key in ["kubeconfig", "context", "pods-file", "resync-interval", "snapshot", "max-staleness"]
            {
                self.refuse(key, why);
            }
        }
    }

    fn modes(&mut self) {
        if self.settings.mode != Mode::Insecure && self.settings.check_namespaces {
            self.refuse(
                "check-namespaces",
                "is for --pods insecure; verified checks namespaces anyway, disabled has none",
            );
        }
        if self.settings.mode != Mode::Insecure && self.settings.audit {
            self.refuse("audit", "is for --pods insecure: it counts what --pods verified would refuse");
        }
        if self.settings.mode != Mode::Verified {
            for key in ["transfer-to", "transfer-key", "transfer-journal"] {
                self.refuse(key, "needs --pods verified: no other mode has a zone to transfer");
            }
        }
        if self.settings.mode != Mode::Verified && !self.settings.audits() {
            self.refuse("host-network", "needs --pods verified: no other mode has pods");
        }
        if self.settings.mode != Mode::Verified {
            if self.settings.pod_names {
                self.refuse("pod-names", "needs --pods verified: no other mode has pods");
            }
            self.refuse("reverse-zone", "needs --pods verified: no other mode has pods");
            if self.settings.visibility != Visibility::All {
                self.refuse("visibility", "needs --pods verified: no other mode has pods");
            }
        }
    }

    fn clients(&mut self) {
        if self.settings.visibility == Visibility::All {
            if self.given.get("visibility").is_some() {
                self.refuse("visible-to", "has no effect, because all clients see all pods; leave it out, or use --visibility namespace");
            }
            if !self.settings.audits() {
                let why = "has no effect, because nothing depends on the client; leave it out, or use --visibility namespace or --audit";
                self.refuse("trust-ecs", why);
            }
        }
    }

    fn abuse(&mut self) {
        if self.settings.cookies == CookieSource::Off {
            self.refuse("cookie-secret-file", "has no effect without cookies; leave it out, or cookies on");
        }
        let exempt =
            self.given.get("rate-limit-exempt").map(|given| given.values.as_slice()).unwrap_or_default();
        if exempt.len() > 1 && exempt.iter().any(|network| network == "none") {
            self.refuse("rate-limit-exempt", "contains none beside networks; none must be the only value");
        }
    }

    fn doubles(&mut self) {
        if let Some(domain) = double(self.settings.zones.iter().map(|zone| zone.domain().to_string())) {
            self.refuse("domain", format!("contains {domain} twice"));
        }
        if let Err(error) = ReverseZones::new(&self.settings.reverse_zones) {
            self.refuse("reverse-zone", error.to_string());
        }
        let secondaries = self.settings.transfer.iter().flat_map(|transfer| &transfer.secondaries);
        if let Some(address) = double(secondaries.clone().map(ToString::to_string)) {
            self.refuse("transfer-to", format!("contains {address} twice"));
        }
        let number = secondaries.count();
        if number > TransferSettings::MAX_SECONDARIES {
            let most = TransferSettings::MAX_SECONDARIES;
            let why = format!(
                "contains {number} secondaries; at most {most} are allowed: let some transfer from others"
            );
            self.refuse("transfer-to", why);
        }
        let fixed = self.settings.listen.iter().filter(|address| address.port() != 0);
        if let Some(address) = double(fixed.clone().map(ToString::to_string)) {
            self.refuse("listen", format!("contains {address} twice"));
        }
        let admin = &self.settings.admin;
        if let Some(address) = fixed.copied().find(|address| admin.contains(address)) {
            let key = if self.given.get("admin").is_some() { "admin" } else { "listen" };
            self.refuse(key, format!("{address} cannot be both for --admin and for --listen over TCP"));
        }
    }
}

/// Returns the first item that occurs twice, ignoring case; in lower case.
fn double(items: impl Iterator<Item = String>) -> Option<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    items.map(|item| item.to_ascii_lowercase()).find(|item| !seen.insert(item.clone()))
}
