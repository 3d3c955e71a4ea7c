//! RBAC objects as YAML.

use poddns_core::Label;

use super::{PermissionReview, Subject};
use crate::Resource;

/// Returns the objects that grant the missing permissions; see [`super::AccessReport::missing_rbac`].
pub(super) fn missing(findings: &[PermissionReview], subject: Option<&Subject>) -> Option<String> {
    let mut places: Vec<Option<Label>> = Vec::new();
    for finding in findings.iter().filter(|finding| !finding.allowed) {
        if !places.contains(&finding.permission.namespace) {
            places.push(finding.permission.namespace);
        }
    }
    let text =
        places.iter().map(|place| objects(*place, &resources(findings, *place), subject)).collect::<String>();
    (!text.is_empty()).then_some(text)
}

/// Returns the resources that the feed needs in this namespace, whether missing or not.
fn resources(findings: &[PermissionReview], place: Option<Label>) -> Vec<Resource> {
    let mut resources = Vec::new();
    for permission in findings.iter().map(|finding| &finding.permission) {
        if permission.namespace == place && !resources.contains(&permission.resource) {
            resources.push(permission.resource);
        }
    }
    resources
}

/// Returns a role and its binding: for the cluster, or for a namespace.
///
/// `kubectl apply` replaces objects of the same name. The name of the role is therefore derived from its rules and that
/// of the binding from its subject, so that the objects of another poddns in the cluster are not changed.
fn objects(place: Option<Label>, resources: &[Resource], subject: Option<&Subject>) -> String {
    let kind = if place.is_some() { "Role" } else { "ClusterRole" };
    let namespace = place.map(|namespace| format!("\n  namespace: {}", quoted(namespace.as_str())));
    let namespace = namespace.unwrap_or_default();
    let role = match resources {
        [only] => format!("poddns-{}", only.as_str()),
        _ => "poddns".to_owned(),
    };
    let binding =
        quoted(&subject.map_or_else(|| role.clone(), |subject| format!("{role}:{}", slug(subject))));
    let resources: Vec<String> = resources.iter().map(|resource| quoted(resource.as_str())).collect();
    let resources = resources.join(", ");
    let subject = subject.map_or_else(|| PLACEHOLDER.to_owned(), entry);
    format!(
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata:
  name: {role}{namespace}
rules:
- apiGroups: [\"\"]
  resources: [{resources}]
  verbs: [\"list\", \"watch\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata:
  name: {binding}{namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}
  name: {role}
subjects:
{subject}
"
    )
}

/// Entry of the binding if the subject is unknown.
const PLACEHOLDER: &str = "# The API server does not report our user: put the daemon's service account here.
- kind: ServiceAccount
  namespace: poddns
  name: poddns";

/// Returns the entry of a binding for a subject.
fn entry(subject: &Subject) -> String {
    match subject {
        Subject::ServiceAccount { namespace, name } => {
            format!("- kind: ServiceAccount\n  namespace: {}\n  name: {}", quoted(namespace), quoted(name))
        }
        Subject::User(user) => {
            format!("- kind: User\n  apiGroup: rbac.authorization.k8s.io\n  name: {}", quoted(user))
        }
    }
}

/// Returns a subject as part of an object's name, which must be a single path segment of a URL.
fn slug(subject: &Subject) -> String {
    let text = match subject {
        Subject::ServiceAccount { namespace, name } => format!("{namespace}:{name}"),
        Subject::User(user) => user.clone(),
    };
    text.replace(|char: char| !char.is_ascii_alphanumeric() && !matches!(char, '.' | ':' | '-' | '_'), "-")
}

/// Returns a text as a YAML string. Quoting is necessary: a namespace may be named `null` or `123`.
fn quoted(text: &str) -> String {
    // JSON strings are valid double-quoted YAML strings (YAML 1.2 section 1.3).
    serde_json::Value::from(text).to_string()
}
