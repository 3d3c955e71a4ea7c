//! Fields that accept any value: a value of a wrong type is recorded as a fault, not an error.
//!
//! One malformed object must not affect the rest of its list, so no field that is read may fail to decode. Only invalid
//! syntax is an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field's value.
#[derive(Clone, Debug, Default)]
pub(crate) enum Lenient<T> {
    /// Missing or null.
    #[default]
    Absent,
    /// Of another type, named with an article.
    Wrong(&'static str),
    /// Of the required type.
    Is(T),
}

/// A type of [`Lenient`] fields. By default, each form of a value is refused.
pub(crate) trait Shape: Sized {
    /// The required type of the field, with an article, for messages.
    const EXPECTED: &'static str;

    fn of_bool(_: bool) -> Option<Self> {
        None
    }

    fn of_text(_: &str) -> Option<Self> {
        None
    }

    /// Returns the value of a YAML scalar without quotes.
    fn of_plain(_: &str) -> Option<Self> {
        None
    }

    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn of_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Shape for String {
    const EXPECTED: &'static str = "a string";

    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn of_plain(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Shape for bool {
    const EXPECTED: &'static str = "a boolean";

    fn of_bool(value: bool) -> Option<Self> {
        Some(value)
    }

    /// Interpreted as in YAML 1.1, as by Kubernetes' own reader.
    fn of_plain(text: &str) -> Option<Self> {
        match text {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
                Some(false)
            }
            _ => None,
        }
    }
}

impl<T: Shape> Shape for Vec<Lenient<T>> {
    const EXPECTED: &'static str = "a list";

    fn of_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Some(items))
    }
}

/// An object with the fields of `T`, all of them [`Lenient`].
#[derive(Clone, Debug, Default)]
pub(crate) struct LenientObject<T>(pub(crate) T);

impl<T: for<'de> Deserialize<'de>> Shape for LenientObject<T> {
    const EXPECTED: &'static str = "an object";

    fn of_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|fields| Some(Self(fields)))
    }
}

impl<T: Shape> Lenient<T> {
    /// Returns the value. Adds a value of another type, at `path`, to `faults`.
    pub(crate) fn take(self, path: &'static str, faults: &mut Faults) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Wrong(found) => {
                faults.note(format_args!("{path} is {found}, not {}", T::EXPECTED));
                None
            }
            Self::Is(value) => Some(value),
        }
    }

    fn of(value: Option<T>, found: &'static str) -> Self {
        value.map_or(Self::Wrong(found), Self::Is)
    }
}

impl<'de, T: Shape> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue(PhantomData))
    }
}

struct AnyValue<T>(PhantomData<T>);

impl<'de, T: Shape> Visitor<'de> for AnyValue<T> {
    type Value = Lenient<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Lenient::Absent)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Lenient::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Lenient::of(T::of_bool(value), "a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Lenient::Wrong("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Lenient::Wrong("a number"))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Self::Value, E> {
        Ok(Lenient::Wrong("a number"))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Lenient::Wrong("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Lenient::Wrong("a number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Lenient::of(T::of_text(text), "a string"))
    }

    /// Accepts a YAML scalar without quotes, which only the YAML reader passes as bytes.
    fn visit_bytes<E>(self, text: &[u8]) -> Result<Self::Value, E> {
        let value = std::str::from_utf8(text).ok().and_then(T::of_plain);
        Ok(Lenient::of(value, "a single value"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::of_map(map).map(|value| Lenient::of(value, "an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        T::of_seq(seq).map(|value| Lenient::of(value, "a list"))
    }
}

/// The faults of one object, as one line. Nearly always empty, and then without an allocation.
#[derive(Debug, Default)]
pub(crate) struct Faults(String);

impl Faults {
    /// Adds a fault.
    pub(crate) fn note(&mut self, fault: fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        // Writing to a String cannot fail.
        let _ = fmt::Write::write_fmt(&mut self.0, fault);
    }

    /// Returns all faults, separated by semicolons; `None` if there are none.
    pub(crate) fn into_text(self) -> Option<Box<str>> {
        (!self.0.is_empty()).then(|| self.0.into_boxed_str())
    }
}
