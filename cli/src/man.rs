//! Man pages, generated from the definition of the command line.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use thiserror::Error;

use crate::outcome::CommandError;
use crate::text::show_path;

/// The command line of `poddns man`, for packages.
#[derive(Args, Debug)]
#[command(after_long_help = "Example:\n  poddns man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder to write poddns.1, a page for each command, and poddnsd.8 into; it is made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages of the command, of its subcommands, and of the daemon.
pub(crate) fn run(args: &ManArgs, command: Command) -> Result<(), CommandError> {
    let folder: &Path = &args.folder;
    write_all(folder, command)
        .map_err(|source| CommandError::run(ManError { folder: folder.to_owned(), source }))
}

/// Reason why man pages could not be written.
#[derive(Debug, Error)]
#[error("cannot write man pages to {}: {source}", show_path(folder))]
struct ManError {
    folder: PathBuf,
    source: io::Error,
}

fn write_all(folder: &Path, command: Command) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)?;
    let daemon = Man::new(poddns_net::daemon::command()).section("8");
    let mut page = Vec::new();
    daemon.render(&mut page)?;
    std::fs::write(folder.join(daemon.get_filename()), page)
}
