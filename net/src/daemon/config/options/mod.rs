//! The table of options: a row is all that a new setting needs. The flags, their help, the variables, the keys of the
//! file, the errors, the sample and the reference page are made from it.

mod abuse;
mod answers;
mod cluster;
mod identity;
mod privileges;
mod serving;
mod transfer;

use clap::builder::{OsStr, Str};
use clap::{Arg, ArgAction, Command};

use super::draft::Draft;
use super::texts::Texts;

/// Number of values of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arity {
    /// One.
    One,
    /// Any number: the flag is repeated, the variable has commas, the file an array.
    Many,
    /// `true` or `false`; the bare flag means true.
    Switch,
}

/// Effect of a reload on a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// It takes the new value.
    Changes,
    /// Only a restart does.
    Keeps,
}

/// One setting.
pub(super) struct Opt {
    /// Flag without its dashes, and key in the file.
    pub(super) name: &'static str,
    pub(super) arity: Arity,
    /// Placeholder of the value in the help: the values themselves, with `|` between them, if they are few.
    pub(super) value: &'static str,
    /// Values that are allowed, as errors and the reference list them.
    pub(super) allowed: &'static str,
    /// One line, without a full stop.
    pub(super) help: &'static str,
    /// Further sentences for the sample and the reference, if any.
    pub(super) more: &'static str,
    /// Effect of leaving it out, if it has no default that could be written.
    pub(super) without: &'static str,
    /// A value for the sample, if it has no default.
    pub(super) example: &'static [&'static str],
    /// Option without which this one has no effect, if any.
    pub(super) needs: &'static str,
    pub(super) reload: Reload,
    /// Parses the texts into the draft.
    pub(super) read: fn(&mut Draft, &mut Texts<'_>),
    /// Returns the value in a draft as an operator would write it; empty if there is none.
    pub(super) show: fn(&Draft) -> Vec<String>,
}

/// A row with everything that most rows have in common.
const ROW: Opt = Opt {
    name: "",
    arity: Arity::One,
    value: "",
    allowed: "",
    help: "",
    more: "",
    without: "",
    example: &[],
    needs: "",
    reload: Reload::Changes,
    read: |_, _| {},
    show: |_| Vec::new(),
};

/// A row of a switch.
const SWITCH: Opt = Opt { arity: Arity::Switch, allowed: "true or false", ..ROW };

/// Options under a heading of the help.
pub(super) struct OptionSection {
    pub(super) heading: &'static str,
    pub(super) options: &'static [Opt],
}

/// Every option but `config`, which names the file.
pub(super) static SECTIONS: [OptionSection; 7] = [
    OptionSection { heading: "Answers", options: answers::OPTIONS },
    OptionSection { heading: "Source of the pods", options: cluster::OPTIONS },
    OptionSection { heading: "Zone transfers", options: transfer::OPTIONS },
    OptionSection { heading: "Sockets and process", options: serving::OPTIONS },
    OptionSection { heading: "Forged and hostile clients", options: abuse::OPTIONS },
    OptionSection { heading: "Identity of the server", options: identity::OPTIONS },
    OptionSection { heading: "Privileges, dropped once the sockets are bound", options: privileges::OPTIONS },
];

/// Returns all options, in the order of the table.
pub(super) fn all() -> impl Iterator<Item = &'static Opt> {
    SECTIONS.iter().flat_map(|section| section.options)
}

impl Opt {
    /// Returns the default as an operator would write it; empty if there is none.
    pub(super) fn default(&self) -> Vec<String> {
        if self.without.is_empty() { (self.show)(&Draft::default()) } else { Vec::new() }
    }

    /// Returns the help of the flag for `--help`: all sentences, the values that are allowed, and the default.
    fn long_help(&self) -> String {
        let default = match self.default().as_slice() {
            [] if self.without.is_empty() => String::new(),
            [] => format!("\nDefault: {}", self.without),
            values => format!("\nDefault: {}", values.join(",")),
        };
        let more = if self.more.is_empty() { String::new() } else { format!(" {}", self.more) };
        let repeat = if self.arity == Arity::Many { "; repeatable" } else { "" };
        format!("{}.{more}\n\nAllowed: {}{repeat}{default}", self.help, self.allowed)
    }

    /// Returns the help of the flag for `-h`.
    fn help(&self) -> String {
        let repeat = if self.arity == Arity::Many { "; repeatable" } else { "" };
        let default = match self.default().as_slice() {
            [] if self.without.is_empty() => String::new(),
            [] => format!(" [default: {}]", self.without),
            [value] if self.arity == Arity::Switch && value == "false" => String::new(),
            values => format!(" [default: {}]", values.join(",")),
        };
        format!("{}{repeat}{default}", self.help)
    }

    fn flag(&'static self, heading: &'static str) -> Arg {
        let arg = Arg::new(Str::from(self.name))
            .long(self.name)
            .help_heading(heading)
            .help(self.help())
            .long_help(self.long_help());
        match self.arity {
            Arity::One => arg.value_name(self.value).action(ArgAction::Set),
            Arity::Many => arg.value_name(self.value).action(ArgAction::Append),
            Arity::Switch => arg
                .value_name("BOOL")
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(OsStr::from("true")),
        }
    }
}

/// Returns the option of this name.
pub(super) fn find(name: &str) -> Option<&'static Opt> {
    all().find(|option| option.name == name)
}

/// Returns the name that was probably meant: the one with most letters in common, if that is nearly all of them.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.replace('_', "-");
    all()
        .map(|option| (edits(&name, option.name), option.name))
        .min()
        .filter(|&(distance, key)| distance <= 1 + key.len() / 4)
        .map(|(_, key)| key)
}

/// Returns how many letters must be added, removed or changed to get from one word to the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (left, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}

/// Returns the environment variable of a setting: `PODDNS_POD_CIDR` for `pod-cidr`.
pub(super) fn variable(name: &str) -> String {
    format!("PODDNS_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Adds a flag for every setting, and `--config`, to a command line.
///
/// The values are taken as text: [`Sources`](super::Sources) checks them, whichever way they came, so that
/// all three ways say the same about a wrong one.
#[must_use]
pub fn with_flags(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .action(ArgAction::Set)
        .help("Read settings from this TOML file; flags and PODDNS_* variables beat it");
    let flags =
        SECTIONS.iter().flat_map(|section| section.options.iter().map(|option| option.flag(section.heading)));
    command.args(flags).arg(config.help_heading("Sockets and process"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
