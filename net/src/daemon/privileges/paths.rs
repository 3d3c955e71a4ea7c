//! Files that the process must be able to open after it is restricted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files that the C library reads to resolve the host name of an API server.
const RESOLVER: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
];

/// Directories of the certificates of public authorities on common systems.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Environment variables that name other files and directories of certificates.
const CERTIFICATE_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Directories that many programs share. None of them is allowed as a whole, since that would expose the files of other
/// programs.
const SHARED: [&str; 22] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/media", "/mnt", "/opt",
    "/private", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var",
];

/// Directories with children that are shared, too.
const SHARED_CHILDREN: [&str; 3] = ["/home", "/usr", "/var"];

/// Maximum number of links in a path, equal to the limit of Linux.
const MAX_LINKS: u32 = 40;

/// Files and directories that must stay accessible.
///
/// A rule of Landlock applies to an inode, not to a name. A file that replaces another one by `rename`, as editors,
/// Kubernetes' volumes and `kubectl` do, has another inode; so for files that may be replaced, the directory is allowed
/// with all of its contents. The same holds for directories: if a link may be re-pointed, as git-sync does, the
/// directory of the link is allowed. Paths are absolute and canonical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
    program: Option<String>,
}

impl Paths {
    /// Allows reading this file, also after it is replaced: allows its directory, and those of the links in its path.
    pub(crate) fn read_file(&mut self, file: &Path) {
        let file = absolute(file);
        // Standard input or a pipe of the shell, not a regular file.
        if ["/dev", "/proc"].iter().any(|special| file.starts_with(special)) {
            self.read.insert(file.canonicalize().unwrap_or(file));
            return;
        }
        for directory in directories(&file) {
            if is_shared(&directory) && directory != parent(&file) {
                continue;
            }
            // Of the root directory, only the file itself is allowed.
            self.read.insert(if directory == Path::new("/") { file.clone() } else { directory });
        }
    }

    /// Allows reading a file in a directory that may be removed and created again: its parent is allowed, too, unless
    /// it is shared.
    pub(crate) fn read_rewritten_file(&mut self, file: &Path) {
        self.read_file(file);
        let directory = absolute(file).parent().and_then(|parent| parent.canonicalize().ok());
        let above = directory.as_deref().and_then(Path::parent).filter(|above| !is_shared(above));
        self.read.extend(above.map(Path::to_owned));
    }

    /// Allows replacing this file: allows writing and reading files in its directory, unless that is the root
    /// directory.
    pub(crate) fn replace_file(&mut self, file: &Path) {
        let directory = directory(file);
        if directory != Path::new("/") {
            self.write.insert(directory);
        }
    }

    /// Allows the files needed to resolve a host name and to verify TLS certificates.
    pub(crate) fn network(&mut self) {
        for file in RESOLVER.map(Path::new) {
            self.read.insert(file.to_owned());
            // With a local resolver such as systemd-resolved, the file is a link to one in another directory.
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

    /// Adds a program that must be run.
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

/// Returns the directory of a file, canonical if it exists.
pub(crate) fn directory(file: &Path) -> PathBuf {
    let directory = parent(&absolute(file));
    directory.canonicalize().unwrap_or(directory)
}

/// Returns the absolute form of a path.
fn absolute(path: &Path) -> PathBuf {
    // Fails only for an empty path, or if the working directory cannot be determined.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn parent(file: &Path) -> PathBuf {
    file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// Returns true for directories that many programs share.
fn is_shared(directory: &Path) -> bool {
    let parent = directory.parent();
    SHARED.iter().any(|shared| directory == Path::new(shared))
        || SHARED_CHILDREN.iter().any(|shared| parent == Some(Path::new(shared)))
}

/// Returns the directories whose entries determine the file that an absolute path names: that of the file, and those of
/// the links in its path. They are canonical.
fn directories(file: &Path) -> Vec<PathBuf> {
    let mut found = vec![parent(file).canonicalize().unwrap_or_else(|_| parent(file))];
    let mut ahead: Vec<PathBuf> = components(file);
    let (mut reached, mut links) = (PathBuf::from("/"), 0);
    while let Some(component) = ahead.pop() {
        if component == Path::new("/") {
            reached = component;
            continue;
        }
        let next = reached.join(&component);
        let Ok(target) = next.read_link() else {
            // This resolves `..` as the kernel does, since `reached` contains no links.
            reached = next.canonicalize().unwrap_or(next);
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            break;
        }
        found.push(reached.clone());
        ahead.extend(components(&target));
    }
    found.push(parent(&reached));
    found
}

/// Returns the components of a path, the last one first.
fn components(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|component| PathBuf::from(component.as_os_str())).collect()
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
    fn file_allows_directories_of_itself_and_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for directory in ["volume", "volume/..1", "elsewhere", "sync", "sync/.w", "sync/.w/a"] {
            fs::create_dir(root.join(directory)).unwrap();
        }
        fs::write(root.join("volume/..1/token"), "").unwrap();
        fs::write(root.join("elsewhere/file"), "").unwrap();
        fs::write(root.join("sync/.w/a/pods.json"), "").unwrap();
        symlink("..1", root.join("volume/..data")).unwrap();
        symlink("..data/token", root.join("volume/token")).unwrap();
        symlink("../elsewhere/file", root.join("volume/link")).unwrap();
        symlink(".w/a", root.join("sync/cur")).unwrap();
        let below = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
        assert_eq!(readable(&root.join("volume/token")), below(&["volume", "volume/..1"]));
        assert_eq!(readable(&root.join("volume/link")), below(&["elsewhere", "volume"]));
        assert_eq!(readable(&root.join("volume/not-yet")), below(&["volume"]));
        assert_eq!(readable(&root.join("sync/cur/pods.json")), below(&["sync", "sync/.w/a"]));
    }

    #[test]
    fn root_directory_is_never_allowed() {
        assert_eq!(readable(Path::new("/pods.json")), [PathBuf::from("/pods.json")]);
        assert_eq!(readable(Path::new("/dev/null")), [PathBuf::from("/dev/null")]);
        let mut paths = Paths::default();
        paths.replace_file(Path::new("/snapshot"));
        paths.read_rewritten_file(Path::new("/pods.json"));
        assert_eq!(paths.writable().count(), 0);
        assert_eq!(paths.readable().collect::<Vec<_>>(), [Path::new("/pods.json")]);
    }

    #[test]
    fn relative_paths_become_absolute() {
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(readable(Path::new("pods.json")).first(), Some(&here));
        assert_eq!(directory(Path::new("snapshot")), here);
    }

    #[test]
    fn shared_directories_are_not_allowed_for_children() {
        let mut paths = Paths::default();
        for file in ["/etc/poddns/pods.json", "/var/lib/poddns/pods.json", "/home/somebody/pods.json"] {
            paths.read_rewritten_file(Path::new(file));
        }
        for shared in ["/", "/etc", "/var", "/var/lib", "/home"] {
            assert!(paths.readable().all(|path| path != Path::new(shared)), "{shared}: {paths:?}");
        }
    }

    #[test]
    fn directory_above_a_rewritten_one_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("made-anew")).unwrap();
        let mut paths = Paths::default();
        paths.read_rewritten_file(&root.join("made-anew/pods.json"));
        assert_eq!(paths.readable().collect::<Vec<_>>(), [root.as_path(), &root.join("made-anew")]);
    }

    #[test]
    fn resolver_files_are_allowed_without_etc() {
        let mut paths = Paths::default();
        paths.network();
        assert!(paths.readable().any(|path| path == Path::new("/etc/resolv.conf")));
        assert!(paths.readable().all(|path| path != Path::new("/etc") && path != Path::new("/")));
    }
}
