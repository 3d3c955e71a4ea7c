//! Short lists without allocation.

use super::types::MAX_ADDRESSES;

/// A list of at most [`MAX_ADDRESSES`] items, stored inline.
#[derive(Clone, Copy, Debug)]
pub(super) struct InlineVec<T> {
    items: [Option<T>; MAX_ADDRESSES],
    len: usize,
}

impl<T> Default for InlineVec<T> {
    fn default() -> Self {
        Self { items: [const { None }; MAX_ADDRESSES], len: 0 }
    }
}

impl<T: Copy + PartialEq> InlineVec<T> {
    /// Returns the items without duplicates, in their order.
    pub(super) fn distinct(items: &[T]) -> Self {
        let mut distinct = Self::default();
        for &item in items {
            if !distinct.contains(item) {
                distinct.push(item);
            }
        }
        distinct
    }

    /// Adds an item, unless the list is full.
    pub(super) fn push(&mut self, item: T) {
        if let Some(place) = self.items.get_mut(self.len) {
            *place = Some(item);
            self.len += 1;
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = T> {
        self.items.iter().take(self.len).flatten().copied()
    }

    pub(super) fn contains(&self, item: T) -> bool {
        self.iter().any(|other| other == item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Copy + PartialEq> FromIterator<T> for InlineVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::default();
        items.into_iter().for_each(|item| list.push(item));
        list
    }
}
