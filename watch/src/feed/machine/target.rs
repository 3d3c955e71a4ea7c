//! Target of the objects of a watch.

use crate::feed::decode::MalformedObject;

/// The kind of a difference between the index and the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexDifference {
    /// The cluster has an object that the index lacked.
    Missing,
    /// The index had the object with other contents.
    Changed,
    /// The index had an object that the cluster does not have.
    Gone,
}

/// Identity of an object by its namespace and name.
pub(crate) type ObjectKey = u128;

/// Applies objects to the index.
pub(crate) trait ObjectTarget {
    /// A decoded object.
    type Object;

    /// Begins a list, or begins it again: objects that it does not contain by its end are removed.
    fn begin(&mut self);
    /// Applies the current state of an object, listed or changed.
    fn apply(&mut self, object: &Self::Object);
    /// Removes an object that was deleted, or no longer matches the selector.
    fn delete(&mut self, object: &Self::Object);
    /// Reports an object that cannot be decoded. Its stored state is kept until the end of a list.
    fn malformed(&mut self, object: &MalformedObject);
    /// Ends the list. Returns the number of removed objects.
    fn end(&mut self) -> usize;
    /// Begins a list to compare with. It may never end.
    fn begin_comparison(&mut self);
    /// Compares an object with the stored one, and marks it as contained in the current list.
    fn compare(&mut self, object: &Self::Object) -> Option<IndexDifference>;
    /// Ends a list to compare with: removes the objects that it did not contain, and calls `each` with the name of
    /// each.
    fn end_comparison(&mut self, each: &mut dyn FnMut(String));
    /// Returns the object's name, for messages.
    fn name(&self, object: &Self::Object) -> String;
    /// Returns the object's identity by namespace and name, regardless of its uid.
    fn key(&self, object: &Self::Object) -> ObjectKey;
    /// Returns the object's `resourceVersion`; empty if it has none.
    fn version<'a>(&self, object: &'a Self::Object) -> &'a str;
}
