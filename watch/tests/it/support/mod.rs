//! Feeds from a fake API server.

pub(crate) mod truth;

use std::sync::Arc;

use poddns_test_support::api_server::ApiServer;
use poddns_watch::ListMethod;
use poddns_watch::{ClusterOptions, Feed, FeedStats, Index, Scope, Source};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Returns the options of a feed that follows this server. Streaming lists are first, since most faults are theirs.
pub(crate) fn options(server: &ApiServer) -> ClusterOptions {
    ClusterOptions {
        kubeconfig: Some(server.kubeconfig()),
        list_methods: vec![ListMethod::Streaming, ListMethod::Paged],
        page_size: 250,
        ..ClusterOptions::default()
    }
}

/// Lets the other tasks of this thread run for some iterations of the event loop. In each one they read what has
/// arrived on loopback sockets, where bytes arrive as soon as they are sent.
pub(crate) async fn turns() {
    const TURNS: usize = 64;
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// A feed that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) index: Arc<Index>,
    pub(crate) stats: Arc<FeedStats>,
    _task: JoinSet<()>,
}

impl Running {
    pub(crate) async fn start(source: Source, scope: Scope) -> Self {
        let feed = Feed::open(source, scope).await.expect("the feed opens");
        let (index, stats) = (feed.index(), feed.stats());
        let mut task = JoinSet::new();
        task.spawn(feed.run(CancellationToken::new()));
        Self { index, stats, _task: task }
    }

    /// Follows this server.
    pub(crate) async fn follow(server: &ApiServer, scope: Scope) -> Self {
        Self::start(Source::Cluster(options(server)), scope).await
    }
}
