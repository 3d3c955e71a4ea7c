//! Enums with one word per variant, for metrics, logs and JSON.

/// Declares such an enum from one list of variants and words.
macro_rules! worded {
    ($(#[$attribute:meta])* $name:ident { $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of_variant])* $variant,)+
        }

        impl $name {
            /// All variants, each at its [`index`](Self::index).
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the index in [`ALL`](Self::ALL), for arrays of counters.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// Returns the word for metrics, logs and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

pub(crate) use worded;

#[cfg(test)]
mod tests {
    use crate::{AuditFinding, DropReason, Reason};

    fn check<T: Copy + PartialEq>(all: &[T], index: fn(T) -> usize, word: fn(T) -> &'static str) {
        for (at, &one) in all.iter().enumerate() {
            assert_eq!(index(one), at);
            assert!(all.iter().all(|&other| other == one || word(other) != word(one)), "{}", word(one));
        }
    }

    #[test]
    fn variants_are_at_their_index() {
        check(Reason::ALL, Reason::index, Reason::as_str);
        check(AuditFinding::ALL, AuditFinding::index, AuditFinding::as_str);
        check(DropReason::ALL, DropReason::index, DropReason::as_str);
    }
}
