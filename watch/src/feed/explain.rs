//! Error messages of the cluster feed: the request, the response, and the remedy.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use poddns_core::Label;

use super::machine::cause::{Cause, Refusal};
use super::machine::request::ApiRequest;
use crate::Resource;
use crate::quote::QuotedText;
use crate::tls;

/// The objects of one watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchedObjects {
    /// Their resource.
    pub(crate) resource: Resource,
    /// The only watched namespace, if any.
    pub(crate) namespace: Option<Label>,
    /// The URL of the server.
    pub(crate) url: Arc<str>,
}

impl fmt::Display for WatchedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.namespace, self.resource) {
            (Some(namespace), resource) => write!(f, "{resource} in namespace {namespace}"),
            (None, Resource::Namespaces) => f.write_str("namespaces"),
            (None, resource) => write!(f, "{resource} in all namespaces"),
        }
    }
}

impl WatchedObjects {
    /// Returns one line for the log, readiness and status. `loading` is true if the server may not have loaded its RBAC
    /// rules yet.
    pub(crate) fn explain(&self, request: &ApiRequest, cause: &Cause, loading: bool) -> String {
        let subject = match request {
            ApiRequest::Identify => {
                Self { resource: Resource::Namespaces, namespace: None, url: Arc::clone(&self.url) }
            }
            _ => self.clone(),
        };
        subject.explain_own(request.verb(), cause, loading)
    }

    fn explain_own(&self, verb: &str, cause: &Cause, loading: bool) -> String {
        let url = &self.url;
        match cause {
            Cause::Status(refusal) => self.explain_refusal(verb, refusal, loading),
            Cause::Credentials(error) => format!("cannot {verb} {self}: {}", Cleaned(&chain(&**error))),
            Cause::Unreachable(error) => {
                format!(
                    "cannot {verb} {self}: cannot reach the API server at {url}: {}",
                    Cleaned(&chain(&**error))
                )
            }
            Cause::Broken(error) => {
                format!("the {verb} of {self} broke off: {url}: {}", Cleaned(&chain(&**error)))
            }
            Cause::Garbage(error) => {
                let text = chain(&**error);
                let cause = Cleaned(&text);
                format!("cannot {verb} {self}: invalid response from {url}: {cause}")
            }
            Cause::Silence(time) => {
                format!("the {verb} of {self} broke off: {url} sent nothing for {} s", time.as_secs())
            }
            Cause::Stopped(time) => format!(
                "the {verb} of {self} begins again: this process or its machine was stopped for {} s",
                time.as_secs()
            ),
            Cause::CutOff => format!("the {verb} of {self} broke off: {url} ended it before it was complete"),
            Cause::Unreadable(error) => {
                let text = chain(&**error);
                let cause = Cleaned(&text);
                format!(
                    "cannot {verb} {self}: an object that changed cannot be decoded: {cause}; listing again"
                )
            }
        }
    }

    fn explain_refusal(&self, verb: &str, refusal: &Refusal, loading: bool) -> String {
        let message = refusal.message.trim().trim_end_matches('.');
        let mut text = format!("cannot {verb} {self}: {} {}", refusal.code, QuotedText(message));
        let advice = match refusal.code {
            401 => format!(
                ": {} does not accept our credentials; the token or certificate is expired, revoked or of another \
                 cluster (it is read again before the next try)",
                self.url
            ),
            403 if loading => {
                ": the API server has just started and is still loading its RBAC rules; trying again"
                    .to_owned()
            }
            403 => format!(": {}", self.missing_rule()),
            404 => format!(": is {} the URL of a Kubernetes API server?", self.url),
            410 => ": the resource version is too old; listing again".to_owned(),
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

/// Maximum number of characters of a text from outside that are shown.
const MAX_CHARACTERS: usize = 300;

/// Text of a library that may contain text from outside: escaped and truncated.
pub(crate) struct Cleaned<'a>(pub(crate) &'a str);

impl fmt::Display for Cleaned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, character) in self.0.chars().enumerate() {
            if number >= MAX_CHARACTERS {
                return f.write_str("...");
            }
            match character {
                // The text is not shown in quotes, so these need no escape.
                '"' | '\'' | '\\' => f.write_char(character)?,
                other => write!(f, "{}", other.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// Returns the texts of an error and its sources, without repetitions.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(text) = tls::explain(error) {
        return text;
    }
    let mut text = String::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // kube's name for a kind of error, before its text; errors of a body have it twice.
        let part = part.trim_start_matches("ServiceError: ");
        // rustls appends a URL of its manual to the error for a missing close_notify.
        let part = part.split_once(": https://docs.rs/").map_or(part, |(text, _)| text);
        // kube and hyper include their source in their own text.
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
    use crate::feed::machine::request::ListConsistency;

    fn subject(namespace: Option<&str>) -> WatchedObjects {
        WatchedObjects {
            resource: Resource::Pods,
            namespace: namespace.map(|name| name.parse().unwrap()),
            url: "https://10.0.0.1:6443/".into(),
        }
    }

    fn status(code: u16, message: &str) -> Cause {
        Cause::Status(Refusal { code, message: message.to_owned(), retry_after: None })
    }

    fn watch() -> ApiRequest {
        ApiRequest::Watch { version: "1".to_owned(), timeout: 300 }
    }

    fn list() -> ApiRequest {
        ApiRequest::List { read: ListConsistency::Any, limit: None, continue_token: None }
    }

    #[test]
    fn forbidden_names_the_missing_rule() {
        let cause = status(403, "pods is forbidden: User \"x\" cannot watch resource \"pods\"");
        let text = subject(None).explain(&watch(), &cause, false);
        assert!(
            text.starts_with("cannot watch pods in all namespaces: 403 \"pods is forbidden: User"),
            "{text}"
        );
        assert!(text.contains("ClusterRole with the rule"), "{text}");
        assert!(text.contains("resources: [pods], verbs: [list, watch]"), "{text}");
        let text = subject(Some("team-a")).explain(&watch(), &cause, false);
        assert!(text.contains("a Role in namespace team-a with the rule"), "{text}");
        let text = subject(Some("team-a")).explain(&ApiRequest::Identify, &cause, false);
        assert!(
            text.contains("a ClusterRole with the rule {apiGroups: [\"\"], resources: [namespaces]"),
            "{text}"
        );
    }

    #[test]
    fn forbidden_during_a_start_names_no_rule() {
        let text = subject(None).explain(&watch(), &status(403, "forbidden"), true);
        assert!(text.contains("loading its RBAC rules") && !text.contains("ClusterRole"), "{text}");
    }

    #[test]
    fn unauthorized_speaks_of_the_token() {
        let text = subject(None).explain(&list(), &status(401, "Unauthorized"), false);
        assert!(text.starts_with("cannot list pods in all namespaces: 401 \"Unauthorized\":"), "{text}");
        assert!(text.contains("token"), "{text}");
        assert!(text.contains("https://10.0.0.1:6443/"), "{text}");
    }

    #[test]
    fn unreachable_names_url_and_cause() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let text = subject(None).explain(&list(), &Cause::unreachable(refused), false);
        assert!(
            text.ends_with("cannot reach the API server at https://10.0.0.1:6443/: connection refused"),
            "{text}"
        );
    }

    #[test]
    fn errors_of_libraries_lose_their_wrapping() {
        let text =
            "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/";
        let ended = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, text);
        let body = kube::Error::Service(Box::new(kube::Error::Service(ended.into())));
        assert_eq!(chain(&body), "peer closed connection without sending TLS close_notify");
    }

    #[test]
    fn server_text_is_quoted_and_bounded() {
        let message = format!("\u{1b}[31mready\nforged=line \u{202e}{}", "x".repeat(10_000));
        let text = subject(None).explain(&watch(), &status(500, &message), false);
        assert!(!text.contains(['\n', '\u{1b}', '\u{202e}']), "{text}");
        assert!(text.len() < 400, "{text}");
    }
}
