//! The table of options. A new setting needs one row: flags, help, variables, keys of the file, errors, the sample and
//! the reference page are generated from the table.

mod abuse;
mod answers;
mod cluster;
mod field;
mod identity;
mod privileges;
mod serving;
mod transfer;

use clap::builder::{OsStr, Str};
use clap::{Arg, ArgAction, Command};

use self::field::NoField;
pub(super) use self::field::{Arity, OptionField, Texts};
use super::draft::Draft;

/// Effect of a reload on a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// It sets the new value.
    Changes,
    /// It keeps the old value, which only a restart changes.
    Keeps,
}

/// An option: one row of the table.
pub(super) struct Opt {
    /// Flag without its dashes, and key in the file.
    pub(super) name: &'static str,
    /// Field of the draft that it sets, with the kind of its values.
    pub(super) field: &'static dyn OptionField,
    /// One line, without a full stop.
    pub(super) help: &'static str,
    /// Further sentences for the sample and the reference, if any.
    pub(super) more: &'static str,
    /// Effect of leaving it out, if it has no default in its own notation.
    pub(super) without: &'static str,
    /// A value for the sample, if it has no default.
    pub(super) example: &'static [&'static str],
    /// Name of the option without which this one has no effect, if any.
    pub(super) needs: &'static str,
    pub(super) reload: Reload,
}

/// Defaults of a row's members.
const ROW: Opt = Opt {
    name: "",
    field: &NoField,
    help: "",
    more: "",
    without: "",
    example: &[],
    needs: "",
    reload: Reload::Changes,
};

/// Options under a heading of the help.
pub(super) struct OptionSection {
    pub(super) heading: &'static str,
    pub(super) options: &'static [Opt],
}

/// All options except `config`, which names the file.
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
    /// Returns the values of the default as an operator would write them; none if there is no default.
    pub(super) fn default(&self) -> Vec<String> {
        if self.without.is_empty() { self.field.show(&mut Draft::default()) } else { Vec::new() }
    }

    pub(super) fn arity(&self) -> Arity {
        self.field.notation().arity
    }

    /// Returns the description of the allowed values for errors and the reference.
    pub(super) fn allowed(&self) -> &'static str {
        self.field.notation().allowed
    }

    pub(super) fn placeholder(&self) -> &'static str {
        self.field.notation().placeholder
    }

    /// Returns the help of the flag for `--help`: all sentences, the allowed values, and the default.
    fn long_help(&self) -> String {
        let default = match self.default().as_slice() {
            [] if self.without.is_empty() => String::new(),
            [] => format!("\nDefault: {}", self.without),
            values => format!("\nDefault: {}", values.join(",")),
        };
        let repeat = if self.arity() == Arity::Many { "; repeatable" } else { "" };
        format!("{}\n\nAllowed: {}{repeat}{default}", self.sentences(), self.allowed())
    }

    /// Returns the description of the option in whole sentences.
    pub(super) fn sentences(&self) -> String {
        let more = if self.more.is_empty() { String::new() } else { format!(" {}", self.more) };
        format!("{}.{more}", self.help)
    }

    /// Returns the help of the flag for `-h`.
    fn help(&self) -> String {
        let repeat = if self.arity() == Arity::Many { "; repeatable" } else { "" };
        let default = match self.default().as_slice() {
            [] if self.without.is_empty() => String::new(),
            [] => format!(" [default: {}]", self.without),
            [value] if self.arity() == Arity::Switch && value == "false" => String::new(),
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
        let arg = arg.value_name(self.placeholder());
        match self.arity() {
            Arity::One => arg.action(ArgAction::Set),
            Arity::Many => arg.action(ArgAction::Append),
            Arity::Switch => arg
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

/// Returns the name of the option at the smallest edit distance from `name`, if that is at most 1 plus a quarter of its
/// length.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.replace('_', "-");
    all()
        .map(|option| (edits(&name, option.name), option.name))
        .min()
        .filter(|&(distance, key)| distance <= 1 + key.len() / 4)
        .map(|(_, key)| key)
}

/// Returns the Levenshtein distance of two words in bytes.
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
/// The flags accept any text: [`Sources`](super::Sources) checks it, so that errors are the same for all sources.
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
mod tests;
