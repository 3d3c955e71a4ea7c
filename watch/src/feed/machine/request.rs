//! Requests of the machine and their URL queries.

use form_urlencoded::Serializer;

/// A request for the objects of one resource, or for the identity of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiRequest {
    /// Identity of the cluster, and its revision: a list of the one namespace `kube-system`. The uid of the namespace
    /// is the cluster's identity; the `resourceVersion` of the list is etcd's revision, the same for all resources in
    /// one etcd.
    Identify,
    /// A list, or a page of it.
    List {
        /// Required version. Pages after the first one have the version of the first one.
        read: ListConsistency,
        /// The maximum number of objects; `None` for all at once.
        limit: Option<u32>,
        /// Continue token from the previous page.
        continue_token: Option<String>,
    },
    /// A list at the beginning of a watch (KEP-3157).
    StreamingList {
        /// Required version.
        read: ListConsistency,
        /// Seconds after which the server ends the watch.
        timeout: u32,
    },
    /// The changes after a version.
    Watch {
        /// The version.
        version: String,
        /// Seconds after which the server ends the watch.
        timeout: u32,
    },
}

/// Required version of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListConsistency {
    /// Any version that the server has in its cache, which may lag behind.
    Any,
    /// Not older than this version. The server waits up to three seconds for its cache to reach it.
    NotOlderThan(String),
    /// As recent as the request itself. A server older than 1.31 reads from etcd.
    Consistent,
}

/// The field selector of [`ApiRequest::Identify`].
const KUBE_SYSTEM: &str = "metadata.name=kube-system";

impl ApiRequest {
    /// Returns the query of the URL, for objects that match a field selector.
    pub(crate) fn query(&self, selector: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        let selector = if *self == Self::Identify { Some(KUBE_SYSTEM) } else { selector };
        if let Some(selector) = selector {
            query.append_pair("fieldSelector", selector);
        }
        match self {
            Self::Identify => {}
            Self::List { continue_token: Some(token), limit, .. } => {
                // No version here: the token contains one, and servers refuse requests with two.
                if let Some(limit) = limit {
                    query.append_pair("limit", &limit.to_string());
                }
                query.append_pair("continue", token);
            }
            Self::List { read, limit, continue_token: None } => {
                if let Some(limit) = limit {
                    query.append_pair("limit", &limit.to_string());
                }
                append_version(&mut query, read);
                if matches!(read, ListConsistency::NotOlderThan(_)) {
                    query.append_pair("resourceVersionMatch", "NotOlderThan");
                }
            }
            Self::StreamingList { read, timeout } => {
                query.append_pair("watch", "true");
                query.append_pair("sendInitialEvents", "true");
                query.append_pair("resourceVersionMatch", "NotOlderThan");
                query.append_pair("allowWatchBookmarks", "true");
                query.append_pair("timeoutSeconds", &timeout.to_string());
                append_version(&mut query, read);
            }
            Self::Watch { version, timeout } => {
                query.append_pair("watch", "true");
                query.append_pair("resourceVersion", version);
                query.append_pair("allowWatchBookmarks", "true");
                query.append_pair("timeoutSeconds", &timeout.to_string());
            }
        }
        query.finish()
    }

    /// Returns whether the response consists of events rather than a list.
    pub(crate) const fn is_watch(&self) -> bool {
        matches!(self, Self::StreamingList { .. } | Self::Watch { .. })
    }

    /// Returns the verb that the server must permit, for messages.
    pub(crate) const fn verb(&self) -> &'static str {
        match self {
            Self::Identify | Self::List { .. } => "list",
            Self::StreamingList { .. } | Self::Watch { .. } => "watch",
        }
    }
}

/// Appends the version of a list, unless it is to be consistent.
fn append_version(query: &mut Serializer<'_, String>, read: &ListConsistency) {
    match read {
        ListConsistency::Any => drop(query.append_pair("resourceVersion", "0")),
        ListConsistency::NotOlderThan(version) => drop(query.append_pair("resourceVersion", version)),
        ListConsistency::Consistent => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_those_of_the_api_conventions() {
        let version = || "42".to_owned();
        let list = |read, limit| ApiRequest::List { read, limit, continue_token: None };
        let cases = [
            (ApiRequest::Identify, "fieldSelector=metadata.name%3Dkube-system"),
            (list(ListConsistency::Any, None), "resourceVersion=0"),
            (
                list(ListConsistency::NotOlderThan(version()), None),
                "resourceVersion=42&resourceVersionMatch=NotOlderThan",
            ),
            (list(ListConsistency::Consistent, Some(500)), "limit=500"),
            (
                ApiRequest::List {
                    read: ListConsistency::Consistent,
                    limit: Some(500),
                    continue_token: Some("a=/b".to_owned()),
                },
                "limit=500&continue=a%3D%2Fb",
            ),
            (
                ApiRequest::StreamingList { read: ListConsistency::Consistent, timeout: 300 },
                "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true\
                 &timeoutSeconds=300",
            ),
            (
                ApiRequest::StreamingList { read: ListConsistency::NotOlderThan(version()), timeout: 300 },
                "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true\
                 &timeoutSeconds=300&resourceVersion=42",
            ),
            (
                ApiRequest::Watch { version: version(), timeout: 240 },
                "watch=true&resourceVersion=42&allowWatchBookmarks=true&timeoutSeconds=240",
            ),
        ];
        for (request, query) in cases {
            assert_eq!(request.query(None), query);
        }
    }

    #[test]
    fn the_selector_is_that_of_the_resource() {
        let list = ApiRequest::List { read: ListConsistency::Any, limit: None, continue_token: None };
        assert_eq!(list.query(Some("a!=B")), "fieldSelector=a%21%3DB&resourceVersion=0");
        assert!(!ApiRequest::Identify.query(Some("a!=B")).contains('B'));
    }
}
