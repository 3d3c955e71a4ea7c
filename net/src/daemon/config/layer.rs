//! Settings as text, one layer for each source.

use std::collections::BTreeMap;

use super::error::{SettingOrigin, SettingText};

/// Values of one setting as text, and their origin.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) values: Vec<String>,
    pub(super) origin: SettingOrigin,
}

/// Settings of one source, or of all sources combined.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(BTreeMap<&'static str, Given>);

impl Layer {
    pub(super) fn insert(&mut self, key: &'static str, given: Given) {
        self.0.insert(key, given);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Given> {
        self.0.get(key)
    }

    /// Returns the setting as the operator wrote it, for a message; `None` if it is not set.
    pub(super) fn written(&self, key: &'static str) -> Option<SettingText> {
        self.get(key).map(|given| SettingText {
            key,
            value: given.values.first().cloned(),
            origin: given.origin.clone(),
        })
    }

    /// Returns this layer with each setting of `upper` replacing its own. Lists are replaced, too, not joined.
    pub(super) fn under(mut self, upper: &Self) -> Self {
        self.0.extend(upper.0.iter().map(|(key, given)| (*key, given.clone())));
        self
    }
}
