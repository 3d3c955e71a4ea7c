//! Lists of objects.

use super::error::PodsFileError;
use crate::pod::RawPod;
use crate::pod::lenient::{Faults, Lenient, LenientObject};
use crate::quote::QuotedText;

/// An item of a list, with its fields as far as they can be read.
pub(crate) type ManifestItem = Lenient<LenientObject<RawPod>>;

/// Description of the required contents of a file.
pub(super) const EXPECTED: &str = "a List or PodList, as `kubectl get pods -A -o json` or `-o yaml` prints";

/// The contents of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Items of any kind, each with its own `kind`.
    List,
    /// Pods.
    PodList,
}

/// A part of a file.
#[allow(clippy::large_enum_variant, reason = "nearly all are items, and none is stored")]
pub(crate) enum ManifestPart {
    /// An item of a list.
    Item(ManifestItem),
    /// An unusable item, with the reason.
    Unreadable(String),
    /// The end of a list. Only here is its kind known: kubectl writes `items` before `kind`.
    End(ListKind),
}

/// The fields of the list's own object.
#[derive(Default)]
pub(super) struct ListRoot {
    kind: Option<String>,
    has_items: bool,
}

impl ListRoot {
    /// Stores the field `kind`.
    pub(super) fn set_kind(&mut self, kind: Lenient<String>) -> Result<(), String> {
        if self.kind.is_some() {
            return Err("kind is given twice".to_owned());
        }
        let mut faults = Faults::default();
        self.kind = kind.take("kind", &mut faults);
        faults.into_text().map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// Records that the field `items` begins.
    pub(super) fn begin_items(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.has_items, true) {
            return Err("items is given twice".to_owned());
        }
        Ok(())
    }

    /// Returns the kind of the list. A list without `items` is empty: kubectl and the API server omit empty fields, or
    /// write `null`.
    pub(super) fn kind(self) -> Result<ListKind, PodsFileError> {
        let wrong = match self.kind.as_deref() {
            Some("List") => return Ok(ListKind::List),
            Some("PodList") => return Ok(ListKind::PodList),
            Some("Config") => "kind is \"Config\", so it is a kubeconfig".to_owned(),
            Some(kind @ ("Pod" | "Namespace")) => {
                format!("kind is {kind:?}, so it is a single object, not a list")
            }
            Some(other) => format!("kind is {}", QuotedText(other)),
            None if self.has_items => "kind is missing".to_owned(),
            None => "it is not a list of Kubernetes objects".to_owned(),
        };
        Err(PodsFileError::new(format!("{wrong}; expected {EXPECTED}")))
    }
}
