//! Listing of all pods by a reader, a few rows at a time.

use std::net::IpAddr;
use std::ops::ControlFlow;

use poddns_core::{Label, Unknown};

use super::inline_vec::InlineVec;
use super::numbers::{Number, Row, numbers};
use super::reader::Index;

/// A pod in the index.
#[derive(Clone, Copy, Debug)]
pub struct IndexedPod {
    /// The pod's namespace.
    pub namespace: Label,
    /// The pod's name, if names are kept and it is a single label.
    pub name: Option<Label>,
    addresses: InlineVec<IpAddr>,
}

impl IndexedPod {
    /// Returns the pod's addresses, at least one, in the order of `status.podIPs`.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter()
    }
}

impl Index {
    /// Calls `each` with the pods in at most `rows` rows from `first` on, until it breaks. Returns the row to continue
    /// with, `None` at the end. `first` is 0 in the first call.
    ///
    /// The scan does not block the writer: the index can change between two rows. A pod that exists throughout, with
    /// the same namespace and name, is passed exactly once; one that is added or removed meanwhile, at most once.
    pub fn scan(
        &self,
        first: u32,
        rows: u32,
        mut each: impl FnMut(&IndexedPod) -> ControlFlow<()>,
    ) -> Option<u32> {
        let first = first.max(1);
        let end = first.saturating_add(rows);
        for row in numbers::<Row>(first..=end.saturating_sub(1)) {
            if self.pods.is_beyond(row) {
                return None;
            }
            match self.pod_in(row) {
                Ok(None) => {}
                Ok(Some(pod)) => {
                    if each(&pod).is_break() {
                        return Some(row.get().saturating_add(1));
                    }
                }
                // The writer changes too much at the moment.
                Err(Unknown) => return Some(row.get()),
            }
        }
        Some(end)
    }

    /// Returns the pod in a row. A pod without addresses is being added or removed, and is omitted.
    fn pod_in(&self, row: Row) -> Result<Option<IndexedPod>, Unknown> {
        self.epoch.consistently(|| {
            let entry = self.pods.entry(row);
            let namespace = self.namespaces.label(entry.namespace()?)?;
            let addresses = self.addresses_in(entry);
            let name = self.names.as_ref().and_then(|names| names.of(row)?.label());
            (!addresses.is_empty()).then_some(IndexedPod { namespace, name, addresses })
        })
    }
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::types::{IndexOptions, PodRecord};
    use super::super::uid::Uid;
    use super::super::writer::{IndexWriter, index};
    use super::*;

    fn label(text: &str) -> Label {
        text.parse().expect("a label")
    }

    fn apply(writer: &mut IndexWriter, namespace: &str, name: &str, addresses: &[IpAddr]) {
        let uid = Uid::of_name(namespace, name);
        writer.apply(&PodRecord { uid, namespace: label(namespace), name, addresses });
    }

    /// Returns all pods by name, scanned in pages of `rows` rows.
    fn all(index: &Index, rows: u32) -> BTreeMap<String, (String, Vec<IpAddr>)> {
        let (mut pods, mut from) = (BTreeMap::new(), Some(0));
        while let Some(first) = from {
            from = index.scan(first, rows, |pod| {
                let name = pod.name.expect("names are kept").to_string();
                let met = (pod.namespace.to_string(), pod.addresses().collect());
                assert_eq!(pods.insert(name, met), None, "once only");
                ControlFlow::Continue(())
            });
        }
        pods
    }

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    fn v6(number: u32) -> IpAddr {
        IpAddr::V6((u128::from(number) + (0xfd << 120)).into())
    }

    #[test]
    fn every_pod_is_met_once() {
        let (mut writer, index) = index(IndexOptions { pod_names: true });
        assert_eq!(all(&index, 10), BTreeMap::new());
        for number in 0..300 {
            let addresses: &[IpAddr] = &[v4(number), v6(number), v4(7)];
            apply(&mut writer, "a", &format!("pod-{number}"), &addresses[..=number as usize % 3]);
        }
        for number in (0..300).step_by(3) {
            writer.remove(Uid::of_name("a", &format!("pod-{number}")));
        }
        for rows in [1, 7, 1000] {
            let pods = all(&index, rows);
            assert_eq!(pods.len(), 200);
            assert_eq!(pods["pod-1"], ("a".to_owned(), vec![v4(1), v6(1)]));
            assert_eq!(pods["pod-2"], ("a".to_owned(), vec![v4(2), v6(2), v4(7)]));
        }
    }

    #[test]
    fn scan_resumes_after_break() {
        let (mut writer, index) = index(IndexOptions { pod_names: true });
        for number in 0..5 {
            apply(&mut writer, "a", &format!("pod-{number}"), &[v4(number)]);
        }
        let (mut met, mut from) = (0, Some(0));
        while let Some(first) = from {
            from = index.scan(first, 1000, |_| {
                met += 1;
                ControlFlow::Break(())
            });
        }
        assert_eq!(met, 5);
    }

    #[test]
    fn stable_pods_are_met_beside_busy_writer() {
        let (mut writer, index) = index(IndexOptions { pod_names: true });
        for number in 0..50 {
            apply(&mut writer, "stable", &format!("stable-{number}"), &[v4(number), v6(number)]);
        }
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..3_u32 {
                    for number in 0..500 {
                        let name = format!("churn-{number}");
                        apply(&mut writer, "churn", &name, &[v6(1000 + number + round), v4(1000 + number)]);
                    }
                    for number in 0..500 {
                        writer.remove(Uid::of_name("churn", &format!("churn-{number}")));
                    }
                }
                ended.store(true, Ordering::Relaxed);
            });
            loop {
                let last = ended.load(Ordering::Relaxed);
                let (mut stable, mut from) = (0, Some(0));
                while let Some(first) = from {
                    from = index.scan(first, 64, |pod| {
                        let name = pod.name.expect("names are kept").to_string();
                        if let Some(number) = name.strip_prefix("stable-").and_then(|text| text.parse().ok())
                        {
                            stable += 1;
                            assert_eq!(pod.namespace.as_str(), "stable");
                            assert_eq!(pod.addresses().collect::<Vec<_>>(), [v4(number), v6(number)]);
                        } else {
                            assert_eq!(pod.namespace.as_str(), "churn", "{name}");
                        }
                        ControlFlow::Continue(())
                    });
                }
                assert_eq!(stable, 50);
                if last {
                    break;
                }
            }
        });
    }
}
