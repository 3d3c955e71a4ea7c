//! Conversion of texts to settings.

use super::DaemonSettings;
use super::conflicts::Conflicts;
use super::draft::Draft;
use super::error::Problem;
use super::layer::Layer;
use super::options::{self, Texts};

/// Returns the settings of a draft; adds conflicts to `problems`.
pub(super) fn settings(draft: Draft, given: &Layer, problems: &mut Vec<Problem>) -> DaemonSettings {
    let settings = draft.finish();
    // A value that was not parsed has its default here, which could cause a misleading conflict.
    if problems.is_empty() {
        Conflicts { given, settings: &settings.server, problems }.find();
    }
    settings
}

/// Parses every option that is set.
pub(super) fn draft(given: &Layer, problems: &mut Vec<Problem>) -> Draft {
    let mut draft = Draft::default();
    for option in options::all() {
        if let Some(given) = given.get(option.name) {
            option.field.read(&mut draft, Texts { name: option.name, given, problems });
        }
    }
    draft
}
