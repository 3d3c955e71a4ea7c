//! Addresses of some pods of a cluster and of their nodes, to determine their networks.

use std::net::IpAddr;

use kube::api::ListParams;
use kube::core::Request;
use poddns_core::Label;
use serde::Deserialize;

use super::{AccessError, ClusterClient};
use crate::{ClusterOptions, Scope};

/// Maximum number of pods per page.
const PAGE: u32 = 500;

/// Maximum number of namespaces of which pods are read.
const NAMESPACES: usize = 8;

/// A page of pods, each reduced to its addresses.
#[derive(Deserialize)]
struct SampledPage {
    #[serde(default)]
    items: Vec<SampledPod>,
}

#[derive(Deserialize)]
struct SampledPod {
    #[serde(default)]
    status: SampledPodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SampledPodStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs", default)]
    pod_ips: Vec<IpField>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    #[serde(rename = "hostIPs", default)]
    host_ips: Vec<IpField>,
}

#[derive(Deserialize)]
struct IpField {
    ip: Option<String>,
}

impl SampledPodStatus {
    /// Returns the valid addresses.
    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        let lists = self.pod_ips.into_iter().chain(self.host_ips).filter_map(|address| address.ip);
        [self.pod_ip, self.host_ip].into_iter().flatten().chain(lists).filter_map(|text| text.parse().ok())
    }
}

/// Returns addresses of pods in this scope and of their nodes: of at most 500 pods, or of at most 500 pods in each of
/// the first eight namespaces of the scope.
///
/// Fails as [`AccessReport::check`](super::AccessReport::check) does, and if pods cannot be listed.
pub async fn addresses(options: ClusterOptions, scope: &Scope) -> Result<Vec<IpAddr>, AccessError> {
    ClusterClient::open(options).await?.addresses(&scope.namespaces).await
}

impl ClusterClient {
    pub(super) async fn addresses(&self, namespaces: &[Label]) -> Result<Vec<IpAddr>, AccessError> {
        let paths: Vec<String> = match namespaces {
            [] => vec!["/api/v1/pods".to_owned()],
            some => {
                some.iter().take(NAMESPACES).map(|name| format!("/api/v1/namespaces/{name}/pods")).collect()
            }
        };
        let mut addresses = Vec::new();
        for path in paths {
            let request = Request::new(path).list(&ListParams::default().limit(PAGE));
            let page = async {
                self.client.request::<SampledPage>(request.map_err(kube::Error::BuildRequest)?).await
            };
            let page = self.answer("its pods", page).await?;
            addresses.extend(page.items.into_iter().flat_map(|item| item.status.addresses()));
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }
}
