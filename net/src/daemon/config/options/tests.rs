//! Checks of the table: each row parses the values that it shows, and sets no field of another row.

use std::time::Duration;

use super::*;
use crate::daemon::config::layer::{Given, Layer};
use crate::daemon::config::{SettingOrigin, read, value};

/// Parses one option and returns the number of problems and the draft.
fn read_one(option: &'static Opt, values: &[&str]) -> (usize, Draft) {
    let (mut layer, mut problems) = (Layer::default(), Vec::new());
    let values = values.iter().map(ToString::to_string).collect();
    layer.insert(option.name, Given { values, origin: SettingOrigin::Flag });
    let draft = read::draft(&layer, &mut problems);
    (problems.len(), draft)
}

fn is_read(option: &'static Opt, text: &str) -> bool {
    read_one(option, &[text]).0 == 0
}

#[test]
fn defaults_and_examples_are_values() {
    for option in all() {
        let default = option.default();
        if !default.is_empty() {
            let texts: Vec<&str> = default.iter().map(String::as_str).collect();
            let (problems, mut draft) = read_one(option, &texts);
            assert_eq!((problems, option.field.show(&mut draft)), (0, default), "{}", option.name);
        }
        if !option.example.is_empty() {
            let (problems, mut draft) = read_one(option, option.example);
            assert_eq!(
                (problems, option.field.show(&mut draft).len()),
                (0, option.example.len()),
                "{}",
                option.name
            );
        }
    }
}

#[test]
fn no_option_takes_an_empty_text() {
    for option in all() {
        let (problems, mut draft) = read_one(option, &[""]);
        assert_eq!(problems, 1, "{} takes it: {:?}", option.name, option.field.show(&mut draft));
    }
}

#[test]
fn each_option_sets_its_own_place() {
    let texts = [
        "true",
        "false",
        "off",
        "on",
        "json",
        "refused",
        "exclude",
        "namespace",
        "insecure",
        "1",
        "7",
        "1025",
        "9s",
        "10m",
        "hostname",
        "x.example",
        "127.0.0.1:7",
    ];
    for option in all() {
        let default = option.field.show(&mut Draft::default());
        let other = option.example.iter().chain(&texts).find_map(|text| {
            let (problems, mut draft) = read_one(option, &[text]);
            (problems == 0 && option.field.show(&mut draft) != default).then_some(draft)
        });
        let mut draft = other.unwrap_or_else(|| panic!("{} takes none of the texts", option.name));
        for unchanged in all().filter(|unchanged| unchanged.name != option.name) {
            let shown = unchanged.field.show(&mut draft);
            let names = (option.name, unchanged.name);
            assert_eq!(shown, unchanged.field.show(&mut Draft::default()), "{names:?}");
        }
    }
}

/// Returns the bounds of a range in a text, such as `1` and `512` of "off, or 1 to 512 (threads)".
fn bounds(text: &str) -> Option<(&str, &str)> {
    let begins = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let words: Vec<&str> = text.split([' ', ',']).collect();
    let &[low, _, high] = words.windows(3).find(|words| words[1] == "to")? else { return None };
    Some((low, high)).filter(|(low, high)| begins(low) && begins(high))
}

fn whole(text: &str) -> u128 {
    text.parse().expect("a number")
}

fn milliseconds(text: &str) -> u128 {
    value::time(text, Duration::ZERO..=Duration::MAX).expect("a time").as_millis()
}

#[test]
fn ranges_in_texts_are_exact() {
    let mut found = 0;
    for option in all() {
        let Some((low, high)) = bounds(option.allowed()).filter(|_| option.arity() == Arity::One) else {
            continue;
        };
        found += 1;
        assert!(is_read(option, low) && is_read(option, high), "{}", option.name);
        // A time is tested one millisecond outside its range, a number by 1.
        let (number, unit): (fn(&str) -> u128, _) =
            if low.ends_with(char::is_alphabetic) { (milliseconds, "ms") } else { (whole, "") };
        let below = number(low).checked_sub(1).map(|below| format!("{below}{unit}"));
        let above = format!("{}{unit}", number(high) + 1);
        assert!(below.is_none_or(|below| !is_read(option, &below)), "{} below {low}", option.name);
        assert!(!is_read(option, &above), "{} above {high}", option.name);
    }
    assert!(found > 10, "the texts have ranges: {found}");
}

#[test]
fn a_misspelt_key_finds_its_likely_meaning() {
    assert_eq!(nearest("pod-cidrs"), Some("pod-cidr"));
    assert_eq!(nearest("block_special"), Some("block-special"));
    assert_eq!(nearest("lisen"), Some("listen"));
    assert_eq!(nearest("forward"), None);
}

#[test]
fn edits_are_counted() {
    assert_eq!(edits("", "abc"), 3);
    assert_eq!(edits("abc", "abc"), 0);
    assert_eq!(edits("kitten", "sitting"), 3);
}

#[test]
fn the_flags_are_consistent() {
    with_flags(Command::new("test")).debug_assert();
}
