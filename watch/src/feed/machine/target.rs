//! Targets of the objects of a watch.

use crate::feed::decode::MalformedObject;

/// The kind of a difference between the index and the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexDifference {
    /// The cluster has an object that the index did not have.
    Missing,
    /// The index had an object otherwise.
    Changed,
    /// The index had an object that the cluster does not have.
    Gone,
}

/// Identity of an object by its namespace and name.
pub(crate) type ObjectKey = u128;

/// Converts objects to operations on the index.
pub(crate) trait ObjectTarget {
    /// A decoded object.
    type Object;

    /// Begins a list, or begins it again: objects that it has not named by its end are gone.
    fn begin(&mut self);
    /// Applies the present state of an object, listed or changed.
    fn apply(&mut self, object: &Self::Object);
    /// Removes an object that is gone, or no longer selected.
    fn delete(&mut self, object: &Self::Object);
    /// Reports an object that cannot be decoded. Its stored state stays until the end of a list.
    fn malformed(&mut self, object: &MalformedObject);
    /// Ends the list. Returns the number of objects that were gone.
    fn end(&mut self) -> usize;
    /// A list to compare with begins. It may never end.
    fn begin_comparison(&mut self);
    /// Compares an object with what is known of it, and counts it as named by the list that was begun last.
    fn compare(&mut self, object: &Self::Object) -> Option<IndexDifference>;
    /// Ends a list for comparison: removes the objects that it did not name, and reports the name of each.
    fn end_comparison(&mut self, each: &mut dyn FnMut(String));
    /// Returns the object's name, for messages.
    fn name(&self, object: &Self::Object) -> String;
    /// Returns the object's identity by name, whatever its uid.
    fn key(&self, object: &Self::Object) -> ObjectKey;
    /// Returns the object's `resourceVersion`; empty if it has none.
    fn version<'a>(&self, object: &'a Self::Object) -> &'a str;
}
