//! Cost of following a cluster, for a whole process: peak and steady memory, time, CPU.
//!
//! Each run starts a new process, which follows an [`ApiServer`] in the
//! measuring process: poddnsd, or, for comparison, kube's store of watched objects.

mod follower;
mod poddnsd;
mod process;
mod reflector;
mod report;
mod results;
mod run;
mod slim;
mod store;
mod table;

pub(crate) use process::MeasuredProcess;
pub use report::{page, plot};
pub use results::{MemoryFigures, Results, ResultsParseError, Run};
pub use run::{Plan, Programs, measure};
pub use store::{Objects, keep_store};
pub use table::table;

use poddns_test_support::api_server::{ApiServer, Encoding, Streaming};

/// The measured programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum MeasuredProgram {
    /// poddnsd in mode verified, with an API server that supports streaming lists.
    PoddnsdStreamed,
    /// poddnsd in mode verified, with an API server that refuses streaming lists.
    PoddnsdPaged,
    /// poddnsd in mode verified, with an API server that does not support protobuf.
    PoddnsdJson,
    /// kube's `reflector::store` of the pods that poddns decodes, by streaming lists.
    ReflectorSlim,
    /// kube's `reflector::store` of k8s-openapi's pods, by streaming lists.
    ReflectorPods,
}

impl MeasuredProgram {
    /// All programs.
    pub const ALL: [Self; 5] = [
        Self::PoddnsdStreamed,
        Self::PoddnsdPaged,
        Self::PoddnsdJson,
        Self::ReflectorSlim,
        Self::ReflectorPods,
    ];

    /// Returns its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PoddnsdStreamed => "poddnsd-streamed",
            Self::PoddnsdPaged => "poddnsd-paged",
            Self::PoddnsdJson => "poddnsd-json",
            Self::ReflectorSlim => "reflector-slim",
            Self::ReflectorPods => "reflector-pods",
        }
    }

    /// Returns its name in reports.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::PoddnsdStreamed => "poddnsd, streaming lists",
            Self::PoddnsdPaged => "poddnsd, lists in pages",
            Self::PoddnsdJson => "poddnsd, JSON",
            Self::ReflectorSlim => "kube's store, slim pods",
            Self::ReflectorPods => "kube's store, k8s-openapi pods",
        }
    }

    /// Returns true for poddnsd.
    #[must_use]
    pub const fn is_poddnsd(self) -> bool {
        matches!(self, Self::PoddnsdStreamed | Self::PoddnsdPaged | Self::PoddnsdJson)
    }

    /// Starts an API server with `pods` pods.
    fn serve(self, pods: u32) -> ApiServer {
        let server = serve(pods);
        match self {
            Self::PoddnsdPaged => server.stream(Streaming::Refused),
            Self::PoddnsdJson => server.encode_as(Encoding::Json),
            Self::PoddnsdStreamed | Self::ReflectorSlim | Self::ReflectorPods => {}
        }
        server
    }
}

/// Starts an API server with `pods` pods, streaming lists and protobuf, like current servers.
pub(crate) fn serve(pods: u32) -> ApiServer {
    let server = ApiServer::spawn();
    server.encode_as(Encoding::Protobuf);
    server.generate_pods(pods);
    server
}
