//! Properties that hold for any input, for property tests and fuzz targets.

pub use crate::feed::decode::check::check as check_decoders;
pub use crate::feed::{check_pods_file, model as feed_model};
pub use crate::index::model as index_model;
pub use crate::kubeconfig::check::check as check_kubeconfig;
pub use crate::snapshot::check::check as check_snapshot;
