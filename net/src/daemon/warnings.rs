//! Warnings about settings.

use crate::server::settings::Settings;

/// Warning about caches in front of a server with visibility `namespace`.
pub const HIDDEN_BEHIND_CACHE: &str = "visibility namespace ends at a cache: one in front of this server gives what one \
     client may see to all of its clients; have forwarders forward without a cache, and name their clients (trust-ecs)";

/// Logs warnings of settings that are valid but probably not intended.
pub(super) fn warn(settings: &Settings) {
    if settings.unguarded() {
        tracing::warn!(
            "mode insecure without a guard answers any name with the address in it, also for hosts that are not \
             pods; set pod-cidr, block-special, namespace or check-namespaces, or use mode verified"
        );
    }
    if settings.hides() {
        tracing::warn!("{HIDDEN_BEHIND_CACHE}");
    }
}
