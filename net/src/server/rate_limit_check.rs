//! Check that the rate limit exempts the cluster: the source of a query is the address of a pod, or that of a CoreDNS
//! pod that forwards it, so the addresses of all pods should be within the exempt networks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::{task, time};

use super::pods::ServedPods;
use super::settings::Settings;
use super::state::ServerState;
use super::supervise::unblocked;

/// Interval between tests whether a check is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Interval between checks without a list or a change of settings, since watches may have changed the pods.
const CHECK_INTERVAL: Duration = Duration::from_mins(10);

/// State of the index and of the settings at a check.
#[derive(Clone, Copy, PartialEq, Eq)]
struct CheckedState {
    lists: u64,
    settings: *const Settings,
    pods: *const (),
}

impl CheckedState {
    fn of(settings: &Arc<Settings>, pods: &Arc<dyn ServedPods>) -> Self {
        let lists = pods.report().feeds.iter().map(|feed| feed.lists).sum();
        Self { lists, settings: Arc::as_ptr(settings), pods: Arc::as_ptr(pods).cast() }
    }
}

/// Checks after each list, after a change of the settings or the index, and otherwise every [`CHECK_INTERVAL`]; never
/// returns.
pub(super) async fn check_after_lists(state: &ServerState) {
    let mut checked: Option<(CheckedState, Instant)> = None;
    loop {
        time::sleep(POLL_INTERVAL).await;
        let current = state.current();
        let subject = CheckedState::of(&current.settings, &current.pods.0);
        let now = Instant::now();
        let same = |&(before, at): &(CheckedState, Instant)| {
            before == subject && now.saturating_duration_since(at) < CHECK_INTERVAL
        };
        if checked.as_ref().is_some_and(same) {
            continue;
        }
        checked = Some((subject, now));
        // The check scans all pods, so it runs on another thread.
        let (settings, pods) = (Arc::clone(&current.settings), Arc::clone(&current.pods.0));
        if let Some(found) = unblocked(task::spawn_blocking(move || limited(&settings, &*pods))).await
            && state.set_rate_limited_pod(found) != found
            && let Some(address) = found
        {
            tracing::warn!(
                %address,
                "pods or nodes have addresses that the rate limit applies to: it throttles CoreDNS, which forwards the \
                 queries of many clients from one address; set pod-cidr, or add the networks of pods and nodes to rate-limit-exempt"
            );
        }
    }
}

/// Returns an address of a pod, or of the node of one, that the rate limit applies to.
fn limited(settings: &Settings, pods: &dyn ServedPods) -> Option<IpAddr> {
    settings.rate_limit.as_ref()?;
    pods.find_address(&mut |address| !settings.exempt.iter().any(|network| network.contains(&address)))
}

#[cfg(test)]
mod tests {
    use poddns_core::{Label, PodLookup, Unknown};

    use super::*;
    use crate::server::pods::PodsReport;

    struct Addresses(Vec<IpAddr>);

    impl PodLookup for Addresses {
        fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
            Ok(true)
        }
        fn contains(&self, _: &Label, address: IpAddr) -> Result<bool, Unknown> {
            Ok(self.0.contains(&address))
        }
    }

    impl ServedPods for Addresses {
        fn report(&self) -> PodsReport {
            PodsReport::default()
        }
        fn find_address(&self, which: &mut dyn FnMut(IpAddr) -> bool) -> Option<IpAddr> {
            self.0.iter().copied().find(|&address| which(address))
        }
    }

    #[test]
    fn addresses_outside_exempt_networks_are_found() {
        let global: IpAddr = "2600:1f18::7".parse().unwrap();
        let pods = Addresses(vec![[10, 0, 0, 1].into(), "fd00::1".parse().unwrap(), global]);
        let mut settings = Settings::default();
        assert_eq!(limited(&settings, &pods), Some(global));
        settings.exempt.push("2600:1f18::/32".parse().unwrap());
        assert_eq!(limited(&settings, &pods), None);
        settings.exempt.clear();
        assert_eq!(limited(&settings, &pods), Some([10, 0, 0, 1].into()));
        settings.rate_limit = None;
        assert_eq!(limited(&settings, &pods), None);
    }
}
