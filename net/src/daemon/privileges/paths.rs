//! Which files the process must be able to open once it is restricted.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What the C library reads to find the address of an API server that is known by name.
const RESOLVER: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
];

/// Where systems keep the certificates of public authorities.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Variables that name other places for certificates.
const CERTIFICATE_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Files and directories that must stay within reach.
///
/// Landlock's rules hang on files, not on names. What is replaced by renaming another file onto it, as editors,
/// Kubernetes' volumes and `kubectl` do, is another file; so for files that may change it is the directory that
/// is allowed, with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
    program: Option<String>,
}

impl Paths {
    /// Allows to read this file whenever it is replaced: its directory, and that of what it links to.
    pub(crate) fn read_file(&mut self, file: &Path) {
        add(&mut self.read, file);
    }

    /// Allows to replace this file: to write files into its directory, and to read them.
    pub(crate) fn replace_file(&mut self, file: &Path) {
        self.write.insert(directory(file).to_owned());
    }

    /// Allows what it takes to talk to a server by name and over TLS.
    pub(crate) fn network(&mut self) {
        for file in RESOLVER.map(Path::new) {
            self.read.insert(file.to_owned());
            // Where a local resolver keeps the real one, in a directory that is its own.
            if let Ok(target) = file.canonicalize()
                && let Some(directory) = target.parent().filter(|directory| *directory != Path::new("/etc"))
            {
                self.read.insert(directory.to_owned());
            }
        }
        self.read.extend(CERTIFICATES.map(PathBuf::from));
        for name in CERTIFICATE_VARIABLES {
            let places = std::env::var_os(name).unwrap_or_default();
            self.read.extend(std::env::split_paths(&places).filter(|path| path.is_absolute()));
        }
    }

    /// Says that a program must be run.
    pub(crate) fn run(&mut self, program: String) {
        self.program = Some(program);
    }

    pub(super) fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }

    pub(super) fn readable(&self) -> impl Iterator<Item = &Path> {
        self.read.iter().map(PathBuf::as_path)
    }

    pub(super) fn writable(&self) -> impl Iterator<Item = &Path> {
        self.write.iter().map(PathBuf::as_path)
    }
}

/// The directory that a file is in.
pub(crate) fn directory(file: &Path) -> &Path {
    file.parent().filter(|directory| *directory != Path::new("")).unwrap_or(Path::new("."))
}

fn add(to: &mut BTreeSet<PathBuf>, file: &Path) {
    // A file that is no file: a pipe of the shell's, standard input.
    let special = ["/dev", "/proc"].iter().any(|special| file.starts_with(special));
    let mut named = vec![file.to_owned()];
    named.extend(file.canonicalize());
    for path in named {
        match path.parent() {
            Some(directory) if directory == Path::new("") => to.insert(PathBuf::from(".")),
            // The root directory would be everything.
            Some(directory) if !special && directory.components().any(is_name) => {
                to.insert(directory.to_owned())
            }
            _ => to.insert(path),
        };
    }
}

fn is_name(component: Component<'_>) -> bool {
    matches!(component, Component::Normal(_) | Component::CurDir | Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn readable(file: &Path) -> Vec<PathBuf> {
        let mut paths = Paths::default();
        paths.read_file(file);
        paths.readable().map(Path::to_owned).collect()
    }

    #[test]
    fn a_file_takes_its_directory_and_that_of_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for directory in ["volume", "volume/..1", "elsewhere"] {
            fs::create_dir(root.join(directory)).unwrap();
        }
        fs::write(root.join("volume/..1/token"), "").unwrap();
        fs::write(root.join("elsewhere/file"), "").unwrap();
        symlink("..1", root.join("volume/..data")).unwrap();
        symlink("..data/token", root.join("volume/token")).unwrap();
        symlink("../elsewhere/file", root.join("volume/link")).unwrap();
        let below = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
        assert_eq!(readable(&root.join("volume/token")), below(&["volume", "volume/..1"]));
        assert_eq!(readable(&root.join("volume/link")), below(&["elsewhere", "volume"]));
        assert_eq!(readable(&root.join("volume/not-yet")), below(&["volume"]));
    }

    #[test]
    fn the_root_directory_is_never_allowed() {
        assert_eq!(readable(Path::new("/pods.json")), [PathBuf::from("/pods.json")]);
        assert_eq!(readable(Path::new("pods.json")), [PathBuf::from(".")]);
        assert_eq!(readable(Path::new("/dev/null")), [PathBuf::from("/dev/null")]);
    }

    #[test]
    fn the_resolver_is_allowed_by_file_and_not_with_all_of_etc() {
        let mut paths = Paths::default();
        paths.network();
        assert!(paths.readable().any(|path| path == Path::new("/etc/resolv.conf")));
        assert!(paths.readable().all(|path| path != Path::new("/etc") && path != Path::new("/")));
    }
}
