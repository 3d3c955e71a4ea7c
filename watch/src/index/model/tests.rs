//! Properties of the index against the model.

use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::stops::observed;
use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn few_pods_that_meet_often(names in 0..2_u8, list in vec(any::<[u8; 5]>(), 0..100)) {
        run(&[&[names], list.as_flattened()].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_pods_that_make_tables_grow(names in 2..4_u8, list in vec(any::<[u8; 5]>(), 100..300)) {
        run(&[&[names], list.as_flattened()].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writer_may_stop_after_any_store(names in 0..2_u8, list in vec(any::<[u8; 5]>(), 0..60)) {
        run_with_stops(names != 0, &list);
    }
}

#[test]
fn removed_pod_is_scanned_whole_or_not() {
    // Pods of one to four addresses and of every kind of name, applied and removed.
    for (size, choice) in (0..8).flat_map(|size| (0..8).map(move |choice| (size, choice))) {
        let apply = [size * 32, choice, choice * 5, choice, choice + 1];
        let remove = [18, choice, 0, 0, 0];
        for names in [false, true] {
            run_with_stops(names, &[apply, remove, apply]);
        }
    }
}

/// Runs an operation list on an index that readers inspect after every store of the writer.
fn run_with_stops(pod_names: bool, list: &[[u8; 5]]) {
    let mut pair = Pair::new(IndexOptions { pod_names }, NARROW);
    for &octets in list {
        let operation = Operation::decode(octets, NARROW);
        let mut model = pair.model.clone();
        let before = State::expected(&model);
        operation.model(&mut model);
        let after = State::expected(&model);
        let (index, questions) = (Arc::clone(pair.writer.index()), Questions::about(NARROW));
        let (applied, shown) = (matches!(operation, Operation::Apply { .. }), operation.clone());
        let observe = move || State::of(&index, &questions).check(&before, &after, applied, &shown);
        observed(observe, || pair.step(&operation));
    }
}

/// A pod as a scan returns it.
type Scanned = (Label, Option<Label>, Vec<IpAddr>);

/// Returns the pods of a scan, each with the number of times it was passed.
fn scanned(index: &Index) -> BTreeMap<Scanned, usize> {
    let mut pods = BTreeMap::new();
    let mut from = Some(0);
    while let Some(first) = from {
        from = index.scan(first, 7, |pod| {
            *pods.entry((pod.namespace, pod.name, pod.addresses().collect())).or_default() += 1;
            ControlFlow::Continue(())
        });
    }
    pods
}

/// Returns whether the owner is a pod without a name, in the namespace of one of `known`.
fn is_nameless(owner: &Owner, known: [Option<&Owner>; 2]) -> bool {
    let Owner::Pod { namespace: is, name: None } = owner else { return false };
    known.iter().any(|known| matches!(known, Some(Owner::Pod { namespace, .. }) if namespace == is))
}

/// Everything that readers can observe.
struct State {
    view: View,
    pods: BTreeMap<Scanned, usize>,
}

impl State {
    fn of(index: &Index, questions: &Questions) -> Self {
        Self { view: View::of(index, questions), pods: scanned(index) }
    }

    fn expected(model: &Model) -> Self {
        let mut pods = BTreeMap::new();
        for pod in model.pods.values() {
            *pods.entry((pod.namespace, pod.name, pod.addresses.clone())).or_default() += 1;
        }
        Self { view: View::expected(model, &Questions::about(NARROW)), pods }
    }

    /// Checks that everything is as before the operation or as after it. Anything the operation does not change is
    /// constant during it.
    fn check(&self, before: &Self, after: &Self, applied: bool, operation: &Operation) {
        let (view, old, new) = (&self.view, &before.view, &after.view);
        let during = |is: bool, before: bool, after: bool| is == before || is == after;
        for namespace in view.namespaces.union(&old.namespaces).chain(&new.namespaces) {
            let [is, before, after] = [view, old, new].map(|view| view.namespaces.contains(namespace));
            assert!(during(is, before, after), "{namespace} exists: {is} during {operation:?}");
        }
        for pair in view.addresses.union(&old.addresses).chain(&new.addresses) {
            let [is, before, after] = [view, old, new].map(|view| view.addresses.contains(pair));
            assert!(during(is, before, after), "{pair:?}: {is} during {operation:?}");
        }
        for name in view.names.keys().chain(old.names.keys()).chain(new.names.keys()) {
            let [is, before, after] = [view, old, new].map(|view| view.names.get(name));
            assert!(is == before || is == after, "{name:?}: {is:?} during {operation:?}");
        }
        for address in view.owners.keys().chain(old.owners.keys()).chain(new.owners.keys()) {
            let [is, before, after] = [view, old, new].map(|view| view.owners.get(address));
            // A pod that replaces another gets its addresses before the old pod loses them. Pods that share an
            // address lose it one after another.
            let shared = Some(&Owner::Shared);
            let handed_over = applied && is == shared && before.is_some() && after.is_some();
            // A pod that is added or removed has the address for longer than the name.
            let nameless = before != after && is.is_some_and(|owner| is_nameless(owner, [before, after]));
            assert!(
                is == before || is == after || handed_over || nameless || before == shared,
                "{address}: {is:?} during {operation:?}"
            );
            if let Some(Owner::Pod { namespace, name: Some(name) }) = is {
                let leads_back =
                    view.names.get(&(*namespace, *name)).is_some_and(|all| all.contains(address));
                assert!(leads_back, "{address} is of {name}, but not forward, during {operation:?}");
            }
        }
        for pod in self.pods.keys().chain(before.pods.keys()).chain(after.pods.keys()) {
            let [is, before, after] =
                [self, before, after].map(|state| state.pods.get(pod).copied().unwrap_or_default());
            let most = before.max(after) + usize::from(applied && before + after > 0);
            assert!(before.min(after) <= is && is <= most, "{pod:?}: {is} times during {operation:?}");
        }
    }
}

#[test]
fn the_fuzzers_corpus() {
    let corpus = crate::corpus("index");
    assert!(corpus.len() >= 12, "only {} cases", corpus.len());
    for octets in corpus {
        run(&octets);
    }
}

#[test]
fn serial_does_not_follow_clock_back() {
    let (mut writer, index) = index_with(IndexOptions::default(), SerialClock::Set(1));
    let namespaces = ["a", "b", "c", "d"].map(label);
    for (now, namespace) in [1000, 500, 999, 1001].into_iter().zip(namespaces) {
        writer.set_clock(now);
        writer.apply_namespace(namespace);
        assert_eq!(u64::from(index.serial()), now.max(1000));
    }
}

/// The random lists must reach every kind of operation.
#[test]
fn every_kind_of_operation_is_decoded() {
    let kinds: BTreeSet<String> = (0..=255)
        .map(|kind| format!("{:?}", Operation::decode([kind, 1, 1, 1, 1], NARROW)))
        .map(|text| text.split([' ', '(']).next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}
