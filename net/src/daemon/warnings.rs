//! Warnings about settings.

use crate::server::settings::Settings;

/// Logs settings that are allowed but hardly meant.
pub(super) fn warn(settings: &Settings) {
    if settings.unguarded() {
        tracing::warn!(
            "mode insecure without a guard answers any name with the address in it, also for hosts that are not \
             pods; set pod-cidr, block-special, namespace or check-namespaces, or use mode verified"
        );
    }
}
