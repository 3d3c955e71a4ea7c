//! Error messages of the cluster feed: what was asked, what came back, what to do about it.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use kube::core::Status;
use kube::runtime::watcher;
use poddns_core::Label;

use super::FeedError;
use crate::tls;

/// What one watch asks of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Plural, as in a URL and in RBAC rules.
    pub(crate) resource: &'static str,
    /// The one namespace it is limited to.
    pub(crate) namespace: Option<Label>,
    /// Where the API server is.
    pub(crate) url: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.namespace, self.resource) {
            (Some(namespace), resource) => write!(f, "{resource} in namespace {namespace}"),
            (None, "namespaces") => f.write_str("namespaces"),
            (None, resource) => write!(f, "{resource} in all namespaces"),
        }
    }
}

impl Subject {
    /// One line for the log, readiness and status.
    pub(crate) fn explain(&self, error: &watcher::Error) -> String {
        let (verb, cause) = match error {
            watcher::Error::InitialListFailed(cause) => ("list", cause),
            watcher::Error::WatchStartFailed(cause) | watcher::Error::WatchFailed(cause) => ("watch", cause),
            watcher::Error::WatchError(status) => return self.explain_status("watch", status),
            watcher::Error::NoResourceVersion => {
                return format!("cannot watch {self}: an object came without metadata.resourceVersion");
            }
        };
        match cause {
            kube::Error::Service(cause) if cause.is::<Arc<FeedError>>() => {
                format!("cannot {verb} {self}: {cause}")
            }
            kube::Error::Api(status) => self.explain_status(verb, status),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
                let cause = chain(cause);
                format!("cannot {verb} {self}: {} sent what is no answer of an API server: {cause}", self.url)
            }
            _ if matches!(error, watcher::Error::WatchFailed(_)) => {
                format!("the watch of {self} broke off: {}: {}", self.url, chain(cause))
            }
            _ => {
                format!("cannot {verb} {self}: cannot reach the API server at {}: {}", self.url, chain(cause))
            }
        }
    }

    fn explain_status(&self, verb: &str, status: &Status) -> String {
        let mut text =
            format!("cannot {verb} {self}: {} {}", status.code, status.message.trim().trim_end_matches('.'));
        let advice = match status.code {
            401 => format!(
                ": {} does not accept our credentials; the token or certificate is expired, revoked or of another \
                 cluster (it is read again before the next try)",
                self.url
            ),
            403 => format!(": {}", self.missing_rule()),
            404 => format!(": is {} the URL of a Kubernetes API server?", self.url),
            410 => ": what we had is too old to go on from; a new list begins".to_owned(),
            429 | 503 | 504 => ": the API server is overloaded or starting; trying again".to_owned(),
            _ => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = text.write_str(&advice);
        text
    }

    fn missing_rule(&self) -> String {
        let resource = self.resource;
        let (role, binding, place) = match &self.namespace {
            Some(namespace) => ("Role", "RoleBinding", format!(" in namespace {namespace}")),
            None => ("ClusterRole", "ClusterRoleBinding", String::new()),
        };
        format!(
            "a {role}{place} with the rule {{apiGroups: [\"\"], resources: [{resource}], verbs: [list, watch]}} and \
             its {binding} are missing (`poddns check` prints them)"
        )
    }
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(text) = tls::explain(error) {
        return text;
    }
    let mut text = String::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // kube's name for a kind of error, before what it says.
        let part = part.strip_prefix("ServiceError: ").unwrap_or(&part);
        // kube and hyper repeat their source in their own text.
        if !text.contains(part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(part);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(namespace: Option<&str>) -> Subject {
        Subject {
            resource: "pods",
            namespace: namespace.map(|name| name.parse().unwrap()),
            url: "https://10.0.0.1:6443/".to_owned(),
        }
    }

    fn status(json: &str) -> Box<Status> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn forbidden_names_the_missing_rule() {
        let status = status(include_str!("../../tests/data/err-403-watch.json"));
        let error = watcher::Error::WatchStartFailed(kube::Error::Api(status));
        let text = subject(None).explain(&error);
        assert!(
            text.starts_with("cannot watch pods in all namespaces: 403 pods is forbidden: User"),
            "{text}"
        );
        assert!(text.contains("ClusterRole with the rule"), "{text}");
        assert!(text.contains("resources: [pods], verbs: [list, watch]"), "{text}");
        let text = subject(Some("team-a")).explain(&error);
        assert!(text.contains("a Role in namespace team-a with the rule"), "{text}");
    }

    #[test]
    fn unauthorized_speaks_of_the_token() {
        let status = status(include_str!("../../tests/data/err-401.json"));
        let text = subject(None).explain(&watcher::Error::InitialListFailed(kube::Error::Api(status)));
        assert!(text.starts_with("cannot list pods in all namespaces: 401 Unauthorized:"), "{text}");
        assert!(text.contains("token"), "{text}");
        assert!(text.contains("https://10.0.0.1:6443/"), "{text}");
    }

    #[test]
    fn unreachable_names_url_and_cause() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = watcher::Error::InitialListFailed(kube::Error::Service(refused.into()));
        let text = subject(None).explain(&error);
        assert!(text.contains("cannot reach the API server at https://10.0.0.1:6443/"), "{text}");
        assert!(text.ends_with(":6443/: connection refused"), "{text}");
    }
}
