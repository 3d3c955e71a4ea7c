//! The index of the model.

use std::collections::BTreeMap;

use super::world::Object;
use crate::feed::decode::MalformedObject;
use crate::feed::machine::target::{IndexDifference, ObjectKey, ObjectTarget};

/// The index as the machine sees it: objects by name, deleted only if the uid matches.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) objects: BTreeMap<u32, (Object, bool)>,
}

impl ObjectTarget for Index {
    type Object = Object;

    fn begin(&mut self) {
        self.objects.values_mut().for_each(|(_, seen)| *seen = false);
    }

    fn apply(&mut self, object: &Object) {
        self.objects.insert(object.name, (object.clone(), true));
    }

    fn delete(&mut self, object: &Object) {
        if self.objects.get(&object.name).is_some_and(|(known, _)| known.uid == object.uid) {
            self.objects.remove(&object.name);
        }
    }

    fn end(&mut self) -> usize {
        let before = self.objects.len();
        self.objects.retain(|_, (_, seen)| *seen);
        before - self.objects.len()
    }

    fn malformed(&mut self, _: &MalformedObject) {}

    fn begin_comparison(&mut self) {
        self.begin();
    }

    fn compare(&mut self, object: &Object) -> Option<IndexDifference> {
        match self.objects.get_mut(&object.name) {
            None => Some(IndexDifference::Missing),
            Some((known, seen)) => {
                *seen = true;
                (known != object).then_some(IndexDifference::Changed)
            }
        }
    }

    fn end_comparison(&mut self, each: &mut dyn FnMut(String)) {
        self.objects.retain(|name, (_, seen)| {
            if !*seen {
                each(name.to_string());
            }
            *seen
        });
    }

    fn name(&self, object: &Object) -> String {
        object.name.to_string()
    }

    fn key(&self, object: &Object) -> ObjectKey {
        object.name.into()
    }

    fn version<'a>(&self, object: &'a Object) -> &'a str {
        &object.version
    }
}
