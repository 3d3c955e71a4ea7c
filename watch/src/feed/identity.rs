//! Identity of the cluster that an index is from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access::ClusterAccess;

/// The cluster of each watch of a feed: the uid of its namespace `kube-system`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterIdentity(Arc<Mutex<Clusters>>);

#[derive(Debug, Default)]
struct Clusters {
    watches: Vec<Option<String>>,
    /// Watches whose part of the index is from another cluster, until their list is complete.
    relisting: BTreeSet<usize>,
    /// True if the index was filled from a snapshot.
    restored: bool,
}

/// Agreement of all watches on their cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// All watches are of one cluster; without a uid it is unknown.
    One(Option<String>),
    /// The watches are of several clusters: the index is a mixture until the last watch has listed the new cluster.
    None,
}

impl ClusterIdentity {
    fn clusters(&self) -> MutexGuard<'_, Clusters> {
        // A panic elsewhere leaves no partial change: each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a watch and returns its number.
    pub(crate) fn register(&self) -> usize {
        let mut clusters = self.clusters();
        clusters.watches.push(None);
        clusters.watches.len() - 1
    }

    /// Returns the uid of the cluster of a watch, if known.
    pub(crate) fn of(&self, watch: usize) -> Option<String> {
        self.clusters().watches.get(watch).cloned().flatten()
    }

    /// Stores the cluster of a watch, and whether its part of the index is still from another cluster.
    pub(crate) fn set(&self, watch: usize, cluster: Option<&str>, relisting: bool) {
        let mut clusters = self.clusters();
        if relisting {
            clusters.relisting.insert(watch);
        } else {
            clusters.relisting.remove(&watch);
        }
        if let Some(known) = clusters.watches.get_mut(watch)
            && known.as_deref() != cluster
        {
            *known = cluster.map(str::to_owned);
        }
    }

    /// Stores that the index was filled from a snapshot, with the uid of its cluster if the snapshot has one.
    pub(crate) fn restore(&self, cluster: Option<&str>) {
        let mut clusters = self.clusters();
        clusters.restored = true;
        clusters.watches.fill(cluster.map(str::to_owned));
    }

    /// Returns whether the index was filled from a snapshot.
    pub(crate) fn is_restored(&self) -> bool {
        self.clusters().restored
    }

    /// Returns the agreement of all watches on the cluster.
    pub(crate) fn agreement(&self) -> Agreement {
        let clusters = self.clusters();
        if !clusters.relisting.is_empty() {
            return Agreement::None;
        }
        let mut known = clusters.watches.iter().flatten();
        let Some(first) = known.next() else { return Agreement::One(None) };
        if known.all(|other| other == first) { Agreement::One(Some(first.clone())) } else { Agreement::None }
    }
}

/// Origin of an index: its source and scope, as text with one line per part.
#[derive(Clone)]
pub(crate) struct IndexOrigin {
    scope: String,
    source: OriginSource,
}

#[derive(Clone)]
enum OriginSource {
    File(String),
    Cluster(Arc<ClusterAccess>, ClusterIdentity),
}

/// Key of the line with the cluster's uid.
const CLUSTER: &str = "cluster";
/// Key of the line with the fingerprints of the CA certificates.
const AUTHORITIES: &str = "authorities";

impl IndexOrigin {
    /// Returns the origin of an index that is filled from a file.
    pub(crate) fn of_file(path: String, scope: String) -> Self {
        Self { scope, source: OriginSource::File(path) }
    }

    /// Returns the origin of an index that is filled from a cluster.
    pub(crate) fn of_cluster(access: Arc<ClusterAccess>, identity: ClusterIdentity, scope: String) -> Self {
        Self { scope, source: OriginSource::Cluster(access, identity) }
    }

    /// Returns the current lines; `None` while the index is from more than one cluster.
    pub(crate) fn lines(&self) -> Option<String> {
        let scope = &self.scope;
        match &self.source {
            OriginSource::File(path) => Some(format!("source: {path}\n{scope}")),
            OriginSource::Cluster(access, identity) => {
                let Agreement::One(cluster) = identity.agreement() else { return None };
                let mut lines = format!("source: {}\n{scope}", access.url());
                let authorities = access.server().authorities;
                if !authorities.is_empty() {
                    lines = format!("{lines}\n{AUTHORITIES}: {}", authorities.join(", "));
                }
                Some(cluster.map_or(lines.clone(), |uid| format!("{lines}\n{CLUSTER}: {uid}")))
            }
        }
    }

    /// Stores that the index was filled from a snapshot with these lines.
    pub(crate) fn restore(&self, lines: &str) {
        if let OriginSource::Cluster(_, identity) = &self.source {
            identity.restore(parse(lines).get(CLUSTER).copied());
        }
    }
}

fn parse(lines: &str) -> BTreeMap<&str, &str> {
    lines.lines().filter_map(|line| line.split_once(": ")).collect()
}

/// Returns the first line in which two origins differ, as it was and as it is.
///
/// The uid of the cluster is known only after the server has responded. Until then the URL and a common CA certificate
/// identify the cluster: to rotate a CA, a bundle of the old and the new certificate is used for some time.
pub(crate) fn difference(was: &str, is: &str) -> Option<(String, String)> {
    let (was, is) = (parse(was), parse(is));
    let keys = is.keys().chain(was.keys().filter(|key| !is.contains_key(*key)));
    let show = |key: &str, value: Option<&&str>| match value {
        Some(value) => cut(&format!("{key}: {value}")),
        None => format!("no {key}"),
    };
    keys.copied().find_map(|key| {
        let (old, new) = (was.get(key), is.get(key));
        let same = match key {
            CLUSTER => old.is_none() || new.is_none() || old == new,
            AUTHORITIES => match (old, new) {
                (Some(old), Some(new)) => {
                    old.split(", ").any(|one| new.split(", ").any(|other| one == other))
                }
                _ => false,
            },
            _ => old == new,
        };
        (!same).then(|| (show(key, old), show(key, new)))
    })
}

/// Truncates a line for a message.
fn cut(line: &str) -> String {
    const MAX_BYTES: usize = 200;
    match line.get(..line.floor_char_boundary(MAX_BYTES)) {
        Some(start) if start.len() < line.len() => format!("{start} ..."),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &str = "pods: true\nnamespaces: all";

    fn origin(rest: &str) -> String {
        format!("source: https://10.96.0.1/\n{SCOPE}{rest}")
    }

    #[test]
    fn equal_origins_do_not_differ() {
        let whole = origin("\nauthorities: aa, bb\ncluster: u");
        assert_eq!(difference(&whole, &whole), None);
        assert_eq!(difference(&whole, &origin("\nauthorities: aa, bb")), None, "not asked yet");
    }

    #[test]
    fn other_authority_is_other_cluster() {
        let (was, is) = (origin("\nauthorities: aa"), origin("\nauthorities: bb"));
        let expected = ("authorities: aa".to_owned(), "authorities: bb".to_owned());
        assert_eq!(difference(&was, &is), Some(expected));
        assert_eq!(difference(&origin("\nauthorities: aa, bb"), &is), None, "a CA that is being rotated");
        let expected = ("no authorities".to_owned(), "authorities: bb".to_owned());
        assert_eq!(difference(&origin(""), &is), Some(expected), "written before there were any");
        assert!(difference(&is, &origin("")).is_some());
    }

    #[test]
    fn another_uid_is_another_cluster() {
        assert!(difference(&origin("\ncluster: u"), &origin("\ncluster: v")).is_some());
    }

    #[test]
    fn another_source_or_scope_differs() {
        let is = origin("");
        let (was, now) = difference(&is.replace("10.96", "10.97"), &is).unwrap();
        assert_eq!((&*was, &*now), ("source: https://10.97.0.1/", "source: https://10.96.0.1/"));
        assert!(difference(&is.replace("all", "a, b"), &is).is_some());
    }

    #[test]
    fn watches_of_two_clusters_do_not_agree() {
        let identity = ClusterIdentity::default();
        let (one, two) = (identity.register(), identity.register());
        assert_eq!(identity.agreement(), Agreement::One(None));
        identity.set(one, Some("u"), false);
        assert_eq!(identity.agreement(), Agreement::One(Some("u".to_owned())));
        identity.set(two, Some("v"), false);
        assert_eq!(identity.agreement(), Agreement::None);
        identity.set(one, Some("v"), true);
        assert_eq!(identity.agreement(), Agreement::None, "not listed yet");
        identity.set(one, Some("v"), false);
        assert_eq!(identity.agreement(), Agreement::One(Some("v".to_owned())));
        identity.restore(Some("w"));
        assert_eq!((identity.of(two).as_deref(), identity.is_restored()), (Some("w"), true));
    }
}
