//! Rare parts of a case.

use arbitrary::{Arbitrary, Unstructured};

/// Something that is there in one case of sixteen, so that most cases get past it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rare<T>(pub(crate) Option<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Rare<T> {
    fn arbitrary(source: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let there = source.ratio(1_u8, 16)?;
        Ok(Self(if there { Some(source.arbitrary()?) } else { None }))
    }
}
