//! The API server that a configuration names.

use std::sync::Arc;

/// The properties of an API server that are known without a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredServer {
    /// Its URL.
    pub(crate) url: Arc<str>,
    /// SHA-256 fingerprints of the CA certificates that the server is verified with; empty if these are the system's.
    pub(crate) authorities: Arc<[String]>,
}

impl ConfiguredServer {
    /// Returns whether two configurations seem to name the same cluster: they have the same URL and a CA certificate in
    /// common. To rotate a CA, a bundle of the old and the new certificate is used for some time.
    pub(crate) fn seems_same(&self, other: &Self) -> bool {
        let has_common = || self.authorities.iter().any(|one| other.authorities.contains(one));
        self.url == other.url && (self.authorities == other.authorities || has_common())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, authorities: &[&str]) -> ConfiguredServer {
        let authorities = authorities.iter().map(|&text| text.to_owned()).collect();
        ConfiguredServer { url: url.into(), authorities }
    }

    #[test]
    fn url_and_common_authority_seem_same() {
        let one = server("https://a/", &["1", "2"]);
        assert!(one.seems_same(&one) && one.seems_same(&server("https://a/", &["2", "3"])));
        assert!(server("http://a/", &[]).seems_same(&server("http://a/", &[])));
        for other in
            [server("https://b/", &["1", "2"]), server("https://a/", &["3"]), server("https://a/", &[])]
        {
            assert!(!one.seems_same(&other), "{other:?}");
        }
    }
}
