//! Properties of the kubeconfig reader for fuzzing: it never panics, and entries of other contexts have no effect.

use std::path::Path;

use super::merge::{ChosenContext, MergedKubeconfigs, text_in};
use super::{Authorization, KubeconfigError};

/// Maximum number of contexts per kubeconfig that are checked: the time for each grows with the kubeconfig's length.
const MAX_CONTEXTS: usize = 8;

/// Checks the properties for any contents of a kubeconfig.
///
/// # Panics
///
/// Panics if a property does not hold.
pub fn check(content: &[u8]) {
    let mut merged = MergedKubeconfigs::default();
    // A folder that does not exist, so that relative paths refer to no file.
    if let Err(error) = merged.add(Path::new("/nonexistent/config"), content) {
        return assert_printable(&error);
    }
    let _ = merged.choose(None).map(|chosen| shown(&chosen));
    let _ = merged.choose(Some("no such context"));
    for (name, context) in merged.contexts().into_iter().take(MAX_CONTEXTS) {
        let field = |field| text_in(&context, field).ok().flatten().unwrap_or_default().to_owned();
        let (cluster, user) = (field("cluster"), field("user"));
        let kept = [("contexts", name.as_str()), ("clusters", &cluster), ("users", &user)];
        let alone = merged.with_only(&kept);
        let [all, alone] = [&merged, &alone].map(|merged| match merged.choose(Some(&name)) {
            Ok(chosen) => shown(&chosen),
            Err(error) => error.to_string(),
        });
        assert_eq!(all, alone, "context {name:?} depends on entries that it does not name");
    }
}

fn assert_printable(error: &KubeconfigError) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Returns everything that is loaded for a context, as text.
fn shown(chosen: &ChosenContext) -> String {
    let loaded = match chosen.load(|_| None) {
        Ok(loaded) => loaded,
        // The path is not quoted: the operator has chosen it.
        Err(error @ KubeconfigError::Read { .. }) => return error.to_string(),
        Err(error) => {
            assert_printable(&error);
            return error.to_string();
        }
    };
    let authorization = match &loaded.authorization {
        Authorization::None => "none".to_owned(),
        Authorization::Fixed(token) | Authorization::TokenFile { token, .. } => {
            // The same conversion as in kube's client.
            format!("{:?}", token.as_bytes())
        }
        Authorization::Plugin(plugin) => format!("plugin {}", plugin.command()),
    };
    let config = loaded.config;
    assert!(matches!(config.cluster_url.scheme_str(), Some("http" | "https")), "{}", config.cluster_url);
    assert!(config.cluster_url.host().is_some_and(|host| !host.is_empty()), "{}", config.cluster_url);
    format!(
        "{} {:?} {:?} {:?} {} {authorization}",
        config.cluster_url,
        config.proxy_url,
        config.tls_server_name,
        config.root_cert,
        config.accept_invalid_certs
    )
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzers_corpus() {
        for content in crate::corpus("kubeconfig") {
            check(&content);
        }
    }
}
