//! The sample configuration and the reference page, generated from the table of options.
//!
//! `PODDNS_WRITE_DOCUMENTS=1 cargo test --workspace --lib document` writes both files; without the variable the test
//! compares them with the table.

use std::fmt::Write as _;

use super::options::{Arity, Opt, Reload, SECTIONS, variable};

/// Maximum number of columns of a line in both documents.
const WIDTH: usize = 120;

const SAMPLE_HEAD: &str = "\
# Sample configuration of poddnsd: every key, at its default, or as an example behind '#' if it has none. Only pods-file
# is set to something else, so that this runs without a cluster:
#
#   poddnsd --config demo/poddnsd.toml
#
# Every key is a flag (--ttl 30) and an environment variable (PODDNS_TTL=30) too. A flag beats a variable, and a variable
# beats this file. `poddns check --config FILE` reports what is wrong with a file before poddnsd does.
#
# This file is generated from the options' table; docs/options.md has the same as a page.
";

const REFERENCE_HEAD: &str = "\
# Options of poddnsd

Every option is a flag, an environment variable and a key of the TOML file that `--config` (`PODDNS_CONFIG`) names. A flag
beats a variable, and a variable beats the file. A list is a repeated flag, a variable with commas, and an array in the
file. SIGHUP reads the file again; an option that only a restart changes is marked.

This page is generated from the options' table, as are `poddnsd --help` and [the sample](../demo/poddnsd.toml).
";

/// Options that the sample sets although they have no default.
const SET: [&str; 1] = ["pods-file"];

/// Returns the sample configuration of the project, `demo/poddnsd.toml`: TOML with every key, at its default or as a
/// comment.
#[must_use]
pub fn sample() -> String {
    let mut text = SAMPLE_HEAD.to_owned();
    for section in &SECTIONS {
        let _ = write!(text, "\n## {}\n", section.heading);
        for option in section.options {
            text.push('\n');
            for line in wrapped(&description(option), WIDTH - 2) {
                let _ = writeln!(text, "# {line}");
            }
            let (default, is_set) = (option.default(), SET.contains(&option.name));
            let values = if default.is_empty() { examples(option) } else { default.clone() };
            let has_effect = is_set || !default.is_empty() && option.needs.is_empty();
            let comment = if has_effect { "" } else { "#" };
            let _ = writeln!(text, "{comment}{} = {}", option.name, toml(option, &values));
        }
    }
    text
}

/// Returns the page of all options, `docs/options.md`: Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = REFERENCE_HEAD.to_owned();
    for section in &SECTIONS {
        let _ = write!(text, "\n## {}\n", section.heading);
        for option in section.options {
            let name = option.name;
            let placeholder = if option.arity() == Arity::Switch {
                String::new()
            } else {
                format!(" <{}>", option.placeholder())
            };
            let _ = write!(text, "\n### {name}\n`--{name}{placeholder}` · `{}`\n\n", variable(name));
            for line in wrapped(&markdown(&option.sentences()), WIDTH) {
                let _ = writeln!(text, "{line}");
            }
            let default = match option.default().as_slice() {
                [] if option.without.is_empty() => "none".to_owned(),
                [] => markdown(option.without),
                values => format!("`{}`", values.join("`, `")),
            };
            let _ = write!(text, "\n- Allowed: {}\n- Default: {default}\n", markdown(option.allowed()));
            if !option.example.is_empty() {
                let _ = writeln!(text, "- Example: `{name} = {}`", toml(option, &examples(option)));
            }
            if !option.needs.is_empty() {
                let _ = writeln!(text, "- It has no effect without {}.", option.needs);
            }
            if option.reload == Reload::Keeps {
                let _ = writeln!(text, "- Only a restart changes it.");
            }
        }
    }
    text
}

/// Escapes characters that begin an HTML tag or emphasis in Markdown.
fn markdown(text: &str) -> String {
    text.replace('<', r"\<").replace('*', r"\*")
}

fn examples(option: &Opt) -> Vec<String> {
    option.example.iter().map(|example| (*example).to_owned()).collect()
}

fn description(option: &Opt) -> String {
    let without =
        if option.without.is_empty() { String::new() } else { format!(" Default: {}.", option.without) };
    let allowed = if option.arity() == Arity::Switch {
        String::new()
    } else {
        format!(" Allowed: {}.", option.allowed())
    };
    format!("{}{allowed}{without}", option.sentences())
}

/// Returns the values of an option in TOML.
fn toml(option: &Opt, values: &[String]) -> String {
    let one = |value: &String| match option.arity() {
        Arity::Switch => value.clone(),
        Arity::One if value.bytes().all(|byte| byte.is_ascii_digit()) => value.clone(),
        Arity::One | Arity::Many => format!("{value:?}"),
    };
    let all: Vec<String> = values.iter().map(one).collect();
    if option.arity() == Arity::Many { format!("[{}]", all.join(", ")) } else { all.join("") }
}

/// Breaks a text into lines of at most `width` bytes; a longer word is a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            word.clone_into(&mut lines[last]);
        } else if lines[last].len() + 1 + word.len() <= width {
            lines[last] = format!("{} {word}", lines[last]);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::document::check;

    #[test]
    fn documents_are_those_of_the_table() {
        check("demo/poddnsd.toml", &sample());
        check("docs/options.md", &reference());
    }

    #[test]
    fn every_row_is_complete() {
        for section in &SECTIONS {
            for option in section.options {
                let name = option.name;
                assert!(
                    !name.is_empty() && !option.allowed().is_empty() && !option.help.is_empty(),
                    "{name}"
                );
                assert!(!option.placeholder().is_empty(), "{name} has no placeholder");
                assert!(!option.help.ends_with('.'), "{name}");
                assert!(
                    !option.default().is_empty() || !option.example.is_empty(),
                    "{name} has nothing to show"
                );
            }
        }
    }
}
