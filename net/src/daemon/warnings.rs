//! Warnings about settings.

use crate::server::settings::Settings;

/// Warning about caches in front of a server with visibility `namespace`.
pub const HIDDEN_BEHIND_CACHE: &str = "a cache defeats visibility namespace: a cache in front of this server returns the answers of one client to all \
     of its clients; use forwarders without a cache that send the addresses of their clients (trust-ecs)";

/// Logs warnings of settings that are valid but probably not intended.
pub(super) fn warn(settings: &Settings) {
    if settings.unguarded() {
        tracing::warn!(
            "mode insecure without a guard answers any name with the address in it, also for hosts that are not \
             pods; set pod-cidr, block-special, namespace or check-namespaces, or use mode verified"
        );
    }
    if settings.hides_pods() {
        tracing::warn!("{HIDDEN_BEHIND_CACHE}");
    }
}
