//! Fields of the draft that options set, each with the kind of its values, to parse and to show them.

use crate::daemon::config::draft::Draft;
use crate::daemon::config::error::{Problem, SettingText};
use crate::daemon::config::layer::Given;
use crate::daemon::config::value::{self, ValueKind};

/// Number of values of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon::config) enum Arity {
    /// Exactly one.
    One,
    /// Any number: a repeated flag, a variable with commas, or an array in the file.
    Many,
    /// `true` or `false`; the bare flag means true.
    Switch,
}

/// Description of an option's values for messages, help and documents.
#[derive(Clone, Copy)]
pub(in crate::daemon::config) struct Notation {
    pub(super) arity: Arity,
    pub(super) placeholder: &'static str,
    pub(super) allowed: &'static str,
}

/// A field of the draft.
pub(in crate::daemon::config) trait OptionField: Sync {
    fn notation(&self) -> Notation;

    /// Parses the texts into the field. Leaves it unchanged if one of them is wrong.
    fn read(&self, draft: &mut Draft, texts: Texts<'_>);

    /// Returns the values of the field as an operator would write them; none if it is empty.
    fn show(&self, draft: &mut Draft) -> Vec<String>;
}

/// Texts of one option, and the list that problems with them are added to.
pub(in crate::daemon::config) struct Texts<'a> {
    pub(in crate::daemon::config) name: &'static str,
    pub(in crate::daemon::config) given: &'a Given,
    pub(in crate::daemon::config) problems: &'a mut Vec<Problem>,
}

impl Texts<'_> {
    /// Parses all texts; returns `None` if there are none, or if one of them is wrong.
    fn parse<T>(self, kind: &ValueKind<T>) -> Option<Vec<T>> {
        let Given { values: texts, origin } = self.given;
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match (kind.parse)(text) {
                Ok(value) => values.push(value),
                Err(source) => {
                    let written =
                        SettingText { key: self.name, value: Some(text.clone()), origin: origin.clone() };
                    self.problems.push(Problem::Value { written, source, allowed: kind.allowed });
                }
            }
        }
        (values.len() == texts.len() && !values.is_empty()).then_some(values)
    }

    /// Parses the texts and returns the last value, which is the only one of an option with one value.
    fn parse_one<T>(self, kind: &ValueKind<T>) -> Option<T> {
        self.parse(kind).and_then(|mut values| values.pop())
    }
}

/// Field of a row that names none. It has no notation and stores nothing, so tests find such a row.
pub(super) struct NoField;

impl OptionField for NoField {
    fn notation(&self) -> Notation {
        Notation { arity: Arity::One, placeholder: "", allowed: "" }
    }

    fn read(&self, _: &mut Draft, _: Texts<'_>) {}

    fn show(&self, _: &mut Draft) -> Vec<String> {
        Vec::new()
    }
}

/// A field with one value.
pub(super) struct OneValue<T: 'static> {
    kind: &'static ValueKind<T>,
    place: fn(&mut Draft) -> &mut T,
}

/// Returns the field of an option with one value.
pub(super) const fn one<T>(kind: &'static ValueKind<T>, place: fn(&mut Draft) -> &mut T) -> OneValue<T> {
    OneValue { kind, place }
}

/// Returns the field of an option that is true or false.
pub(super) const fn switch(place: fn(&mut Draft) -> &mut bool) -> SwitchValue {
    SwitchValue(one(&value::SWITCH, place))
}

impl<T> OptionField for OneValue<T> {
    fn notation(&self) -> Notation {
        self.kind.notation(Arity::One)
    }

    fn read(&self, draft: &mut Draft, texts: Texts<'_>) {
        if let Some(value) = texts.parse_one(self.kind) {
            *(self.place)(draft) = value;
        }
    }

    fn show(&self, draft: &mut Draft) -> Vec<String> {
        vec![(self.kind.show)((self.place)(draft))]
    }
}

/// A field that is true or false.
pub(super) struct SwitchValue(OneValue<bool>);

impl OptionField for SwitchValue {
    fn notation(&self) -> Notation {
        self.0.kind.notation(Arity::Switch)
    }

    fn read(&self, draft: &mut Draft, texts: Texts<'_>) {
        self.0.read(draft, texts);
    }

    fn show(&self, draft: &mut Draft) -> Vec<String> {
        self.0.show(draft)
    }
}

/// A field that is empty unless the option is set.
pub(super) struct OptionalValue<T: 'static> {
    kind: &'static ValueKind<T>,
    place: fn(&mut Draft) -> &mut Option<T>,
}

/// Returns the field of an option without a default.
pub(super) const fn optional<T>(
    kind: &'static ValueKind<T>,
    place: fn(&mut Draft) -> &mut Option<T>,
) -> OptionalValue<T> {
    OptionalValue { kind, place }
}

impl<T> OptionField for OptionalValue<T> {
    fn notation(&self) -> Notation {
        self.kind.notation(Arity::One)
    }

    fn read(&self, draft: &mut Draft, texts: Texts<'_>) {
        if let Some(value) = texts.parse_one(self.kind) {
            *(self.place)(draft) = Some(value);
        }
    }

    fn show(&self, draft: &mut Draft) -> Vec<String> {
        (self.place)(draft).iter().map(self.kind.show).collect()
    }
}

/// A field with any number of values.
pub(super) struct ValueList<T: 'static> {
    kind: &'static ValueKind<T>,
    place: fn(&mut Draft) -> &mut Vec<T>,
}

/// Returns the field of an option with any number of values, which replace those of the default.
pub(super) const fn many<T>(
    kind: &'static ValueKind<T>,
    place: fn(&mut Draft) -> &mut Vec<T>,
) -> ValueList<T> {
    ValueList { kind, place }
}

impl<T> OptionField for ValueList<T> {
    fn notation(&self) -> Notation {
        self.kind.notation(Arity::Many)
    }

    fn read(&self, draft: &mut Draft, texts: Texts<'_>) {
        if let Some(values) = texts.parse(self.kind) {
            *(self.place)(draft) = values;
        }
    }

    fn show(&self, draft: &mut Draft) -> Vec<String> {
        (self.place)(draft).iter().map(self.kind.show).collect()
    }
}

impl<T> ValueKind<T> {
    fn notation(&self, arity: Arity) -> Notation {
        Notation { arity, placeholder: self.placeholder, allowed: self.allowed }
    }
}
