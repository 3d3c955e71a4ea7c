//! Selection of the entries of one context from one or more kubeconfigs, by the rules of `kubectl`.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::KubeconfigError;
use super::files;
use super::yaml_node::YamlNode;
use crate::quote::{QuotedList, QuotedText};

/// A named entry of a kubeconfig: a context, a cluster or a user.
///
/// Its fields are read on demand, so that faults in fields that are not needed have no effect.
#[derive(Clone, Debug)]
pub(crate) struct KubeconfigEntry {
    node: YamlNode,
    /// Name of the entry in messages.
    label: String,
    /// The directory that paths in it are relative to.
    directory: PathBuf,
}

impl KubeconfigEntry {
    /// Returns an entry with these fields and this name in messages.
    pub(crate) fn new(label: String, node: YamlNode, directory: &Path) -> Self {
        Self { node, label, directory: directory.to_owned() }
    }

    /// Returns an entry of the kubeconfig at `path`.
    fn of(path: &Path, label: impl fmt::Display, node: YamlNode) -> Self {
        Self::new(format!("{}, {label}", path.display()), node, path.parent().unwrap_or(Path::new("")))
    }

    /// Returns the error for a fault of this entry.
    pub(crate) fn fault(&self, fault: impl Into<Box<dyn Error + Send + Sync>>) -> KubeconfigError {
        KubeconfigError::Entry { entry: self.label.clone(), fault: fault.into() }
    }

    /// Returns the entry's content.
    pub(crate) fn node(&self) -> &YamlNode {
        &self.node
    }

    /// Returns the text of a field; `None` if it is missing or empty.
    pub(crate) fn text(&self, field: &str) -> Result<Option<&str>, KubeconfigError> {
        text_in(&self.node, field).map_err(|fault| self.fault(fault))
    }

    /// Returns true if a field is true.
    pub(crate) fn flag(&self, field: &str) -> Result<bool, KubeconfigError> {
        flag_in(&self.node, field).map_err(|fault| self.fault(fault))
    }

    /// Returns the path in a field. Relative paths are relative to the kubeconfig's directory.
    pub(crate) fn path(&self, field: &str) -> Result<Option<PathBuf>, KubeconfigError> {
        Ok(self.text(field)?.map(|path| self.resolve(path)))
    }

    /// Resolves a path relative to the kubeconfig's directory.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
}

/// Returns the text of a field of a mapping; `None` if it is missing or empty.
pub(crate) fn text_in<'a>(node: &'a YamlNode, field: &str) -> Result<Option<&'a str>, String> {
    match node.get(field) {
        YamlNode::Null => Ok(None),
        YamlNode::Scalar(text, _) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        other => Err(format!("{field} must be text, and is {}", other.kind())),
    }
}

/// Returns whether a field of a mapping is true, in any spelling of YAML 1.1.
pub(crate) fn flag_in(node: &YamlNode, field: &str) -> Result<bool, String> {
    let Some(text) = text_in(node, field)? else { return Ok(false) };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Ok(true),
        "false" | "no" | "off" | "n" => Ok(false),
        _ => Err(format!("{field} must be true or false, and is {}", QuotedText(text))),
    }
}

/// The contents of one file.
#[derive(Debug)]
struct KubeconfigFile {
    path: PathBuf,
    /// Its documents. `kubectl` reads only the first one; later ones can add entries, but not replace any.
    documents: Vec<YamlNode>,
}

/// Kubeconfigs in order of precedence.
#[derive(Debug, Default)]
pub(crate) struct MergedKubeconfigs(Vec<KubeconfigFile>);

/// The entries of a context.
#[derive(Debug)]
pub(crate) struct ChosenContext {
    /// The entry of the cluster.
    pub(crate) cluster: KubeconfigEntry,
    /// The entry of the user; empty if the context names none.
    pub(crate) user: KubeconfigEntry,
    /// A warning if the context names a user that does not exist.
    pub(crate) warning: Option<String>,
}

impl MergedKubeconfigs {
    /// Adds a kubeconfig. Entries of earlier ones have precedence.
    pub(crate) fn add(&mut self, path: &Path, content: &[u8]) -> Result<(), KubeconfigError> {
        let not = |cause: String| KubeconfigError::NoKubeconfig { path: path.to_owned(), cause };
        let text = files::text(content).ok_or_else(|| not("it is not text in UTF-8".to_owned()))?;
        let documents = YamlNode::parse(&text).map_err(|error| KubeconfigError::Syntax {
            path: path.to_owned(),
            line: error.line,
            column: error.column,
            cause: error.cause,
        })?;
        for document in &documents {
            is_kubeconfig(document).map_err(not)?;
        }
        self.0.push(KubeconfigFile { path: path.to_owned(), documents });
        Ok(())
    }

    /// Returns the cluster and the user of a context; `None` selects the current context.
    pub(crate) fn choose(&self, context: Option<&str>) -> Result<ChosenContext, KubeconfigError> {
        let Some(name) = context.map_or_else(|| self.current_context(), |name| Ok(Some(name)))? else {
            let text = format!("no context is chosen: {} has no current-context; {}", self, self.known());
            return Err(KubeconfigError::Context(text));
        };
        let Some(context) = self.find("contexts", "context", name)? else {
            let text = format!("there is no context {} in {}; {}", QuotedText(name), self, self.known());
            return Err(KubeconfigError::Context(text));
        };
        let cluster = context.text("cluster")?.ok_or_else(|| context.fault("it names no cluster"))?;
        let found = self.find("clusters", "cluster", cluster)?;
        let cluster =
            found.ok_or_else(|| context.fault(format!("there is no cluster {}", QuotedText(cluster))))?;
        let named = context.text("user")?;
        let user = named.map(|name| self.find("users", "user", name)).transpose()?.flatten();
        // As in kubectl: the server may accept anonymous requests.
        let missing = named.filter(|_| user.is_none()).map(QuotedText);
        let label = &context.label;
        let warning =
            missing.map(|name| format!("{label}: there is no user {name}; continuing without credentials"));
        Ok(ChosenContext {
            cluster,
            user: user.unwrap_or(KubeconfigEntry { node: YamlNode::Null, ..context }),
            warning,
        })
    }

    /// Returns the same kubeconfigs with only these entries.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn with_only(&self, kept: &[(&str, &str)]) -> Self {
        let only = |name: &String, list: &YamlNode| {
            let kept =
                |entry: &&YamlNode| kept.iter().any(|(list, kept)| list == name && is_named(entry, kept));
            match list {
                YamlNode::List(entries) => YamlNode::List(entries.iter().filter(kept).cloned().collect()),
                other => other.clone(),
            }
        };
        let prune = |document: &YamlNode| match document {
            YamlNode::Map(fields) => {
                YamlNode::Map(fields.iter().map(|(name, value)| (name.clone(), only(name, value))).collect())
            }
            other => other.clone(),
        };
        let source = |KubeconfigFile { path, documents }: &KubeconfigFile| KubeconfigFile {
            path: path.clone(),
            documents: documents.iter().map(prune).collect(),
        };
        Self(self.0.iter().map(source).collect())
    }

    /// Returns the name and contents of each context that can be selected.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn contexts(&self) -> Vec<(String, YamlNode)> {
        let mut found: Vec<(String, YamlNode)> = Vec::new();
        for context in self.documents().flat_map(|(_, document)| document.get("contexts").elements()) {
            match context.get("name").text() {
                Some(name) if found.iter().all(|(known, _)| known != name) => {
                    found.push((name.to_owned(), context.get("context").clone()));
                }
                _ => {}
            }
        }
        found
    }

    fn documents(&self) -> impl Iterator<Item = (&Path, &YamlNode)> {
        self.0.iter().flat_map(|KubeconfigFile { path, documents }| {
            documents.iter().map(move |document| (path.as_path(), document))
        })
    }

    fn current_context(&self) -> Result<Option<&str>, KubeconfigError> {
        for (path, document) in self.documents() {
            let text = text_in(document, "current-context");
            let fault = |fault: String| KubeconfigError::Entry {
                entry: path.display().to_string(),
                fault: fault.into(),
            };
            if let Some(name) = text.map_err(fault)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Returns the first entry of this name.
    ///
    /// Fails if the same list has two entries of this name, as `kubectl` does: it is ambiguous.
    fn find(
        &self,
        list: &str,
        kind: &'static str,
        name: &str,
    ) -> Result<Option<KubeconfigEntry>, KubeconfigError> {
        for (path, document) in self.documents() {
            let mut found = document.get(list).elements().iter().filter(|entry| is_named(entry, name));
            let Some(entry) = found.next() else { continue };
            let entry = KubeconfigEntry::of(
                path,
                format_args!("{kind} {}", QuotedText(name)),
                entry.get(kind).clone(),
            );
            return match found.next() {
                Some(_) => Err(entry.fault(format!("{list} has two of this name"))),
                None => Ok(Some(entry)),
            };
        }
        Ok(None)
    }

    /// Returns a description of the existing contexts.
    fn known(&self) -> String {
        let contexts = self.documents().flat_map(|(_, document)| document.get("contexts").elements());
        let mut names: Vec<&str> = contexts.filter_map(|context| context.get("name").text()).collect();
        names.sort_unstable();
        names.dedup();
        match names.as_slice() {
            [] => "it has no contexts at all".to_owned(),
            names => format!("the contexts are {}", QuotedList(names)),
        }
    }
}

impl fmt::Display for MergedKubeconfigs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, source) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}", source.path.display())?;
        }
        Ok(())
    }
}

fn is_named(entry: &YamlNode, name: &str) -> bool {
    entry.get("name").text() == Some(name)
}

/// Checks that a document is a kubeconfig. The error states why it is not.
fn is_kubeconfig(document: &YamlNode) -> Result<(), String> {
    const LISTS: [&str; 3] = ["clusters", "users", "contexts"];
    const OTHERS: [&str; 4] = ["current-context", "kind", "preferences", "extensions"];
    match document {
        YamlNode::Null => return Ok(()),
        YamlNode::Map(_) => {}
        other => {
            return Err(format!(
                "a mapping with clusters, users and contexts is expected, and this is {}",
                other.kind()
            ));
        }
    }
    match document.get("kind").text() {
        None | Some("" | "Config") => {}
        Some(kind) if kind.ends_with("List") => {
            return Err(format!(
                "its kind is {}, not Config; --pods-file takes lists of pods",
                QuotedText(kind)
            ));
        }
        Some(kind) => return Err(format!("its kind is {}, not Config", QuotedText(kind))),
    }
    for list in LISTS {
        let node = document.get(list);
        if !matches!(node, YamlNode::Null | YamlNode::List(_)) {
            return Err(format!("{list} must be a list, and is {}", node.kind()));
        }
    }
    let empty = document == &YamlNode::Map(Vec::new());
    let known = LISTS.into_iter().chain(OTHERS);
    if empty || known.into_iter().any(|field| *document.get(field) != YamlNode::Null) {
        Ok(())
    } else {
        Err("it has neither clusters nor users nor contexts".to_owned())
    }
}

/// Returns the elements of a list of texts.
pub(crate) fn texts(
    entry: &KubeconfigEntry,
    field: &str,
    node: &YamlNode,
) -> Result<Vec<String>, KubeconfigError> {
    let list = match node {
        YamlNode::Null => &[],
        YamlNode::List(list) => list.as_slice(),
        _ => return Err(entry.fault(format!("{field} must be a list, and is {}", node.kind()))),
    };
    let text = |node: &YamlNode| node.text().map(str::to_owned);
    let texts = list.iter().map(text).collect::<Option<_>>();
    texts.ok_or_else(|| entry.fault(format!("{field} must be a list of texts")))
}
