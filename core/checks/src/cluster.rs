//! A cluster of a few pods; the fuzzer chooses them from small pools. Look-ups are linear searches.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use poddns_core::{Freshness, Label, Owner, PodLookup, Unknown};

use super::settings::NAMESPACES;

pub(crate) const POD_NAMES: [&str; 6] = ["web-0", "a", "10-42-2-46", "10-42-2-256", "fd00-bad", "x--y"];

/// Ordinary and special addresses, addresses outside every CIDR, and an IPv4-mapped one.
pub(crate) const ADDRESSES: [&str; 12] = [
    "10.42.2.46",
    "10.42.0.0",
    "1.2.3.4",
    "127.0.0.1",
    "169.254.169.254",
    "fd00:10:244:1::7",
    "fd00:10:244::",
    "::",
    "::1",
    "64:ff9b::7f00:1",
    "2001:db8:0:1:1:1:1:1",
    "2a00:1450:4001:80f::200e",
];

pub(crate) fn pooled<T: Copy>(pool: &[T], index: u8) -> T {
    pool[usize::from(index) % pool.len()]
}

pub(crate) fn address(index: u8) -> IpAddr {
    pooled(&ADDRESSES, index).parse().expect("an address")
}

/// A cluster that does not change.
#[derive(Clone, Debug)]
pub struct TestCluster {
    /// Namespaces that exist, whether they have pods or not.
    pub namespaces: Vec<Label>,
    /// The pods, without those that have ended.
    pub pods: Vec<TestPod>,
    /// Its freshness.
    pub freshness: Freshness,
    /// Its serial.
    pub serial: u32,
}

/// A pod of a [`TestCluster`].
#[derive(Clone, Debug)]
pub struct TestPod {
    /// Its namespace.
    pub namespace: Label,
    /// Its name.
    pub name: Label,
    /// All its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Fuzzer input for a pod: indices of namespace, name and addresses in the pools, and the number of further
/// addresses.
#[derive(Arbitrary, Debug)]
struct PodInput {
    namespace: u8,
    name: u8,
    addresses: [u8; 3],
    more: u8,
}

impl PodInput {
    fn pod(&self) -> TestPod {
        let mut addresses: Vec<IpAddr> = self.addresses.iter().map(|&index| address(index)).collect();
        // Enough addresses to overflow a datagram.
        let more = self.more.saturating_sub(200);
        let numbered = |n| Ipv6Addr::new(0xfd00, 0x10, 0x244, 9, 0, 0, 0, n);
        addresses.extend((0..more).map(|n| IpAddr::V6(numbered(n.into()))));
        let mut pod = TestPod {
            namespace: pooled(&NAMESPACES, self.namespace).parse().expect("a label"),
            name: pooled(&POD_NAMES, self.name).parse().expect("a label"),
            addresses: Vec::new(),
        };
        for address in addresses {
            if !pod.addresses.contains(&address) {
                pod.addresses.push(address);
            }
        }
        pod
    }
}

impl<'a> Arbitrary<'a> for TestCluster {
    fn arbitrary(source: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut pods: Vec<TestPod> = Vec::new();
        for _ in 0..source.int_in_range(0..=4)? {
            let pod = source.arbitrary::<PodInput>()?.pod();
            if !pods.iter().any(|other| (other.namespace, other.name) == (pod.namespace, pod.name)) {
                pods.push(pod);
            }
        }
        let age = Duration::from_secs(source.arbitrary::<u8>()?.into());
        let freshness = match source.arbitrary::<u8>()? % 8 {
            0 => Freshness::Unsynced,
            1 => Freshness::Stale { age },
            2 => Freshness::Resyncing { age },
            _ => Freshness::Fresh,
        };
        let bits: u8 = source.arbitrary()?;
        let empty = NAMESPACES.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1);
        let mut namespaces: Vec<Label> = empty.map(|(_, name)| name.parse().expect("a label")).collect();
        namespaces.extend(pods.iter().map(|pod| pod.namespace));
        Ok(Self { namespaces, pods, freshness, serial: source.arbitrary()? })
    }
}

impl TestCluster {
    /// Returns a cluster of one dual-stack pod and one namespace without pods.
    pub(crate) fn sample() -> Self {
        let pod = PodInput { namespace: 1, name: 0, addresses: [0, 5, 5], more: 0 }.pod();
        let namespaces = vec![pod.namespace, "kube-system".parse().expect("a label")];
        Self { namespaces, pods: vec![pod], freshness: Freshness::Fresh, serial: 1_700_000_000 }
    }

    /// Returns the same cluster, with this freshness.
    #[must_use]
    pub fn fresh(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }

    /// Returns the same cluster with one more pod, of a namespace that need not exist.
    #[must_use]
    pub fn pod(mut self, namespace: &str, name: &str, addresses: &[IpAddr]) -> Self {
        let [namespace, name] = [namespace, name].map(|text| text.parse().expect("a label"));
        self.pods.push(TestPod { namespace, name, addresses: addresses.to_vec() });
        self
    }
}

impl PodLookup for TestCluster {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(self.namespaces.contains(namespace))
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        Ok(self.pods.iter().any(|pod| pod.namespace == *namespace && pod.addresses.contains(&address)))
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        name: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        let same = |pod: &&TestPod| (pod.namespace, pod.name) == (*namespace, *name);
        self.pods.iter().filter(same).flat_map(|pod| &pod.addresses).for_each(|&address| each(address));
        Ok(())
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        let mut owners = self.pods.iter().filter(|pod| pod.addresses.contains(&address));
        Ok(match (owners.next(), owners.next()) {
            (None, _) => Owner::None,
            (Some(pod), None) => Owner::Pod { namespace: pod.namespace, name: Some(pod.name) },
            (Some(_), Some(_)) => Owner::Shared,
        })
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }

    fn serial(&self) -> u32 {
        self.serial
    }
}
