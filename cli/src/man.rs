//! Man pages, from the command line's own definition.

use std::path::{Path, PathBuf};

use clap::{Args, Command};

use crate::outcome::Failure;
use crate::query::show_text;

/// The command line of `poddns man`, for packages.
#[derive(Args, Debug)]
#[command(after_long_help = "Example:\n  poddns man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder to write poddns.1 and a page for each command into; it is made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages of a command and its subcommands.
pub(crate) fn run(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let folder: &Path = &args.folder;
    std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder)).map_err(
        |error| {
            Failure::Run(format!(
                "cannot write man pages to {}: {error}",
                show_text(&folder.display().to_string())
            ))
        },
    )
}
