//! The config file: TOML with the names of settings as keys, all at top level.

use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{Problem, SettingOrigin, SettingText};
use super::layer::{Given, Layer};
use super::options::{self, Arity};
use super::value::ValueError;

/// Returns the settings of the file and its problems.
pub(super) fn read(path: &Path) -> (Layer, Vec<Problem>) {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(source) => (Layer::default(), vec![Problem::Unreadable { path: path.to_owned(), source }]),
    }
}

fn parse(path: &Path, text: &str) -> (Layer, Vec<Problem>) {
    let line_of =
        |span: Range<usize>| 1 + text.bytes().take(span.start).filter(|&byte| byte == b'\n').count();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = error.span().map_or(1, line_of);
            let message = error.message().to_owned();
            return (Layer::default(), vec![Problem::Syntax { path: path.to_owned(), line, message }]);
        }
    };
    let mut layer = Layer::default();
    let mut problems = Vec::new();
    for (name, value) in table {
        let line = line_of(name.span());
        let name = name.into_inner();
        let Some(key) = options::find(&name) else {
            let (key, meant) = (name.to_string(), options::nearest(&name));
            problems.push(Problem::UnknownKey { path: path.to_owned(), line, key, meant });
            continue;
        };
        let origin = SettingOrigin::File { path: path.to_owned(), line };
        match texts(value.into_inner(), key.arity()) {
            Ok(values) => layer.insert(key.name, Given { values, origin }),
            Err(source) => {
                let written = SettingText { key: key.name, value: None, origin };
                problems.push(Problem::Value { written, source, allowed: key.allowed() });
            }
        }
    }
    (layer, problems)
}

/// Returns the texts of a value, to be parsed like those of a flag.
fn texts(value: DeValue<'_>, arity: Arity) -> Result<Vec<String>, ValueError> {
    match (value, arity) {
        (DeValue::Array(items), _) if items.is_empty() => Err("is an empty array; leave the key out".into()),
        (DeValue::Array(items), Arity::Many) => {
            items.into_iter().map(|item| text(item.into_inner())).collect()
        }
        (DeValue::Array(_), _) => Err("is an array, but takes one value".into()),
        (value, _) => text(value).map(|text| vec![text]),
    }
}

fn text(value: DeValue<'_>) -> Result<String, ValueError> {
    match value {
        DeValue::String(text) => Ok(text.into_owned()),
        DeValue::Integer(number) => decimal(number.as_str(), number.radix()),
        DeValue::Boolean(switch) => Ok(switch.to_string()),
        DeValue::Float(_) => Err("is a number with a fraction".into()),
        DeValue::Datetime(_) => Err("is a date".into()),
        DeValue::Array(_) => Err("is an array in an array".into()),
        DeValue::Table(_) => Err("is a table".into()),
    }
}

/// Returns the number in decimal digits. TOML allows other radices: `0x10`, `0o20` and `0b10000` are 16.
fn decimal(digits: &str, radix: u32) -> Result<String, ValueError> {
    if radix == 10 {
        return Ok(digits.to_owned());
    }
    u64::from_str_radix(digits, radix).map(|number| number.to_string()).map_err(|_| "is out of range".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_value_in_any_radix() {
        let cases = [
            ("10", "10"),
            ("0x10", "16"),
            ("0xFF", "255"),
            ("0o17", "15"),
            ("0b101", "5"),
            ("1_000", "1000"),
        ];
        for (written, value) in cases {
            let (layer, problems) = parse(Path::new("file"), &format!("ttl = {written}\n"));
            assert!(problems.is_empty(), "{written}: {problems:?}");
            assert_eq!(layer.get("ttl").unwrap().values, [value], "{written}");
        }
        let (_, problems) = parse(Path::new("file"), "ttl = 0xFFFFFFFFFFFFFFFFF\n");
        assert_eq!(problems.len(), 1);
    }
}
