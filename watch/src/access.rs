//! Reviews of the permissions that a feed needs in a cluster, for `poddns check`.
//!
//! The API server reviews each verb (`SelfSubjectAccessReview`), so the result is valid with every authorizer, not only
//! RBAC. Missing permissions are printed as RBAC objects.

mod error;
mod rbac;
mod sample;
mod subject;

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::api::{ListParams, PostParams, WatchParams};
use kube::core::Status;
use kube::{Api, Client};
use poddns_core::Label;

pub use self::error::AccessError;
pub use self::sample::addresses;
use self::subject::ANONYMOUS;
pub use self::subject::Subject;
use crate::feed::access::ClusterAccess;
use crate::{ClusterOptions, Resource, Scope};

/// Time limit for each response: short, because a user or a script waits for it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// A cluster's report on a feed's permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessReport {
    /// The API server's URL.
    pub server: String,
    /// The server's version, such as `v1.33.4`.
    pub version: String,
    /// The authenticated user, if the server reports it.
    pub subject: Option<Subject>,
    /// The permissions that the feed needs, each with its review.
    pub findings: Vec<PermissionReview>,
}

/// An operation on objects. Each needs a permission of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Get all objects.
    List,
    /// Receive all changes.
    Watch,
}

impl Verb {
    const ALL: [Self; 2] = [Self::List, Self::Watch];

    /// Returns the verb as in RBAC rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

/// A permission that a feed needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The operation.
    pub verb: Verb,
    /// The resource it applies to.
    pub resource: Resource,
    /// The namespace; `None` for all namespaces, or for cluster-scoped objects.
    pub namespace: Option<Label>,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.resource.as_str())?;
        match (&self.namespace, self.resource) {
            (Some(namespace), _) => write!(f, " in namespace {namespace}"),
            (None, Resource::Pods) => f.write_str(" in all namespaces"),
            (None, Resource::Namespaces) => Ok(()),
        }
    }
}

/// A permission and the server's decision about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionReview {
    /// The requested permission.
    pub permission: Permission,
    /// True if it is allowed.
    pub allowed: bool,
    /// The reason that the server states; often empty.
    pub reason: String,
}

/// Returns the permissions that a feed of this scope needs.
#[must_use]
pub fn needed(scope: &Scope) -> Vec<Permission> {
    let each =
        |resource, namespace: Option<Label>| Verb::ALL.map(|verb| Permission { verb, resource, namespace });
    let mut needed = Vec::new();
    if scope.pods && scope.namespaces.is_empty() {
        needed.extend(each(Resource::Pods, None));
    } else if scope.pods {
        needed.extend(scope.namespaces.iter().flat_map(|namespace| each(Resource::Pods, Some(*namespace))));
    }
    needed.extend(each(Resource::Namespaces, None));
    needed
}

/// Returns the RBAC objects that a feed of this scope needs, as YAML for `kubectl apply -f -`. Sends no requests.
/// Without a subject the binding has a placeholder.
#[must_use]
pub fn rbac(scope: &Scope, subject: Option<&Subject>) -> String {
    let missing = |permission| PermissionReview { permission, allowed: false, reason: String::new() };
    let findings: Vec<PermissionReview> = needed(scope).into_iter().map(missing).collect();
    rbac::missing(&findings, subject).unwrap_or_default()
}

impl AccessReport {
    /// Requests the permissions of another subject for a feed of this scope, which requires permission to create
    /// `subjectaccessreviews`. `groups` are the subject's groups in addition to the implicit ones.
    ///
    /// Fails as [`check`](Self::check) does, and if the cluster does not permit reviews of other subjects.
    pub async fn check_as(
        options: ClusterOptions,
        scope: &Scope,
        subject: Subject,
        groups: &[String],
    ) -> Result<Self, AccessError> {
        let cluster = ClusterClient::open(options).await?;
        let version = cluster.version().await?;
        let groups = [subject.groups(), groups.to_vec()].concat();
        let mut findings = Vec::new();
        for permission in needed(scope) {
            findings.push(cluster.review_of(&subject, &groups, permission).await?);
        }
        Ok(Self { server: cluster.server, version, subject: Some(subject), findings })
    }

    /// Requests the permissions of the configured user for a feed of this scope.
    ///
    /// Fails if the configuration does not name a usable cluster, or if the cluster does not respond within 15 seconds.
    pub async fn check(options: ClusterOptions, scope: &Scope) -> Result<Self, AccessError> {
        ClusterClient::open(options).await?.access(&needed(scope)).await
    }

    /// Returns whether no permission is missing.
    #[must_use]
    pub fn is_sufficient(&self) -> bool {
        self.findings.iter().all(|finding| finding.allowed)
    }

    /// Returns the RBAC objects that grant the missing permissions, as YAML for `kubectl apply -f -`; `None` if none
    /// are missing.
    ///
    /// A role that lacks a rule is printed completely, with a name derived from its rules, so that applying it revokes
    /// nothing.
    #[must_use]
    pub fn missing_rbac(&self) -> Option<String> {
        rbac::missing(&self.findings, self.subject.as_ref())
    }
}

/// A client of a cluster, for reviews of permissions.
struct ClusterClient {
    client: Client,
    server: String,
}

impl ClusterClient {
    async fn open(options: ClusterOptions) -> Result<Self, AccessError> {
        let connection = ClusterAccess::open(options).await?;
        let client = connection.client().await.map_err(AccessError::Credentials)?;
        Ok(Self { client, server: connection.url().as_ref().to_owned() })
    }

    async fn version(&self) -> Result<String, AccessError> {
        Ok(self.answer("its version", self.client.apiserver_version()).await?.git_version)
    }

    async fn access(self, needed: &[Permission]) -> Result<AccessReport, AccessError> {
        let version = self.version().await?;
        let mut findings = Vec::with_capacity(needed.len());
        for permission in needed {
            findings.push(self.review(permission).await?);
        }
        let subject = self.subject(&findings).await;
        Ok(AccessReport { server: self.server, version, subject, findings })
    }

    async fn review(&self, permission: &Permission) -> Result<PermissionReview, AccessError> {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes(permission)),
            ..Default::default()
        };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let api = Api::<SelfSubjectAccessReview>::all(self.client.clone());
        let answer = self.answer("our permissions", api.create(&PostParams::default(), &review)).await?;
        Ok(finding(permission.clone(), answer.status))
    }

    async fn review_of(
        &self,
        subject: &Subject,
        groups: &[String],
        permission: Permission,
    ) -> Result<PermissionReview, AccessError> {
        let spec = SubjectAccessReviewSpec {
            user: Some(subject.user_name()),
            groups: Some(groups.to_vec()),
            resource_attributes: Some(attributes(&permission)),
            ..Default::default()
        };
        let review = SubjectAccessReview { spec, ..Default::default() };
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        let answer =
            self.answer("the permissions of others", api.create(&PostParams::default(), &review)).await?;
        Ok(finding(permission, answer.status))
    }

    /// Returns the authenticated user. Servers before 1.28 have no API for that, but name the user in refusals.
    async fn subject(&self, findings: &[PermissionReview]) -> Option<Subject> {
        let api = Api::<SelfSubjectReview>::all(self.client.clone());
        let review = SelfSubjectReview::default();
        if let Ok(review) = self.answer("our user", api.create(&PostParams::default(), &review)).await {
            let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
            return user.as_deref().map(Subject::of);
        }
        let denied = findings.iter().find(|finding| !finding.allowed)?;
        match self.answer("its objects", self.attempt(&denied.permission)).await {
            Err(AccessError::Refused { message, .. }) => user_in(&message).map(Subject::of),
            _ => None,
        }
    }

    /// Makes a request that is expected to be refused.
    async fn attempt(&self, permission: &Permission) -> Result<String, kube::Error> {
        let resource = permission.resource.as_str();
        let path = permission.namespace.map_or_else(
            || format!("/api/v1/{resource}"),
            |namespace| format!("/api/v1/namespaces/{namespace}/{resource}"),
        );
        let request = kube::core::Request::new(path);
        // If it is permitted after all, it ends quickly.
        let request = match permission.verb {
            Verb::List => request.list(&ListParams::default().limit(1)),
            Verb::Watch => request.watch(&WatchParams::default().timeout(1), "0"),
        };
        self.client.request_text(request.map_err(kube::Error::BuildRequest)?).await
    }

    /// Returns the response to a request, or an error after [`RESPONSE_TIMEOUT`].
    async fn answer<T>(
        &self,
        what: &'static str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, AccessError> {
        let server = self.server.clone();
        match tokio::time::timeout(RESPONSE_TIMEOUT, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(refused(server, what, *status)),
            Ok(Err(error @ (kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)))) => {
                Err(AccessError::NotAnApiServer { server, source: error })
            }
            Ok(Err(source)) => Err(AccessError::Unreachable { server, source }),
            Err(_) => Err(AccessError::TimedOut { server, limit: RESPONSE_TIMEOUT }),
        }
    }
}

fn attributes(permission: &Permission) -> ResourceAttributes {
    ResourceAttributes {
        namespace: permission.namespace.map(|namespace| namespace.to_string()),
        resource: Some(permission.resource.as_str().to_owned()),
        verb: Some(permission.verb.as_str().to_owned()),
        ..ResourceAttributes::default()
    }
}

fn finding(permission: Permission, status: Option<SubjectAccessReviewStatus>) -> PermissionReview {
    let status = status.unwrap_or_default();
    let texts = [status.reason, status.evaluation_error];
    let texts: Vec<String> = texts.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    PermissionReview { permission, allowed: status.allowed, reason: texts.join("; ") }
}

fn refused(server: String, what: &'static str, status: Status) -> AccessError {
    let Status { code, message, .. } = status;
    match code {
        401 => AccessError::Unauthenticated { server, message },
        403 if user_in(&message) == Some(ANONYMOUS) => AccessError::Anonymous { server },
        404 => AccessError::NotFound { server, what, message },
        _ => AccessError::Refused { server, what, code, message },
    }
}

/// Returns the user in a message of the API server: `pods is forbidden: User "jane" cannot list resource ...`.
fn user_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    rest.split_once("\" cannot ").map(|(user, _)| user)
}

#[cfg(test)]
mod tests;
