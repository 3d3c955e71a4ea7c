//! The texts of one option, parsed into a place.

use super::error::{Problem, SettingText};
use super::layer::Given;
use super::value::Wrong;

/// The texts that were given for one option, and the problems with them.
pub(super) struct Texts<'a> {
    pub(super) name: &'static str,
    pub(super) allowed: &'static str,
    pub(super) given: &'a Given,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Texts<'_> {
    /// Parses the value into its place, which stays as it is if the text is wrong.
    pub(super) fn one<T>(&mut self, parse: impl Fn(&str) -> Result<T, Wrong>, place: &mut T) {
        if let Some(value) = self.all(parse).and_then(|mut values| values.pop()) {
            *place = value;
        }
    }

    /// Parses all values into their place, in place of what is there; it stays as it is if one of the texts is wrong.
    pub(super) fn many<T>(&mut self, parse: impl Fn(&str) -> Result<T, Wrong>, place: &mut Vec<T>) {
        if let Some(values) = self.all(parse) {
            *place = values;
        }
    }

    /// The same for a place that is empty unless there are values.
    pub(super) fn some<T>(&mut self, parse: impl Fn(&str) -> Result<T, Wrong>, place: &mut Option<Vec<T>>) {
        if let Some(values) = self.all(parse) {
            *place = Some(values);
        }
    }

    /// The same for texts that stand for several values each.
    pub(super) fn flat<T>(&mut self, parse: impl Fn(&str) -> Result<Vec<T>, Wrong>, place: &mut Vec<T>) {
        if let Some(values) = self.all(parse) {
            *place = values.into_iter().flatten().collect();
        }
    }

    /// Returns all values; `None` if a text is wrong.
    fn all<T>(&mut self, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let mut values = Vec::with_capacity(self.given.values.len());
        for text in &self.given.values {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(why) => {
                    let origin = self.given.origin.clone();
                    let written = SettingText { key: self.name, value: Some(text.clone()), origin };
                    self.problems.push(Problem::Value { written, why, allowed: self.allowed });
                }
            }
        }
        (values.len() == self.given.values.len() && !values.is_empty()).then_some(values)
    }
}
