//! Optional parts of a fuzz case that are seldom present.

use arbitrary::{Arbitrary, Unstructured};

/// A value that is present in one case of sixteen, so that it rarely keeps a case from reaching later checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rare<T>(pub(crate) Option<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Rare<T> {
    fn arbitrary(source: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let there = source.ratio(1_u8, 16)?;
        Ok(Self(if there { Some(source.arbitrary()?) } else { None }))
    }
}
