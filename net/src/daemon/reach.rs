//! Files that the settings name.

use std::path::{Path, PathBuf};

use poddns_watch::{Source, SourceDependencies};

use super::privileges::{Paths, directory};
use crate::server::cookies::CookieSource;
use crate::server::settings::{Needs, Settings};

/// Returns the canonical paths of the directories of files to write. May block if a file system hangs.
pub(super) fn written_directories(settings: &Settings) -> Vec<PathBuf> {
    let snapshot = settings.snapshot.iter().map(|snapshot| &snapshot.path);
    snapshot.chain(&settings.audit_file).map(|file| directory(file)).collect()
}

/// Returns the files that must stay accessible.
pub(super) fn paths(config: Option<&Path>, settings: &Settings) -> Paths {
    let mut paths = Paths::default();
    if let Some(config) = config {
        paths.read_file(config);
    }
    if let CookieSource::File(secrets) = &settings.cookies {
        paths.read_file(secrets);
    }
    if let Some(key) = settings.transfer.as_ref().and_then(|transfer| transfer.key_file.as_ref()) {
        paths.read_file(key);
    }
    if settings.needs() == Needs::Nothing {
        return paths;
    }
    if let Some(audit) = settings.audit_file.as_ref().filter(|_| settings.audits()) {
        paths.replace_file(audit);
    }
    if let Some(snapshot) = &settings.snapshot {
        paths.replace_file(&snapshot.path);
    }
    if let Source::File(pods) | Source::FileOrPipe(pods) = &settings.source {
        paths.read_rewritten_file(pods);
        return paths;
    }
    let SourceDependencies { files, network, program, .. } = settings.source.reads();
    for file in &files {
        paths.read_file(file);
    }
    if network {
        paths.network();
    }
    if let Some(program) = program {
        paths.run(program);
    }
    paths
}
