//! The two encodings of objects.

/// An encoding of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

tokio::task_local! {
    /// The encoding that servers of the current test prefer.
    static ENCODING: Encoding;
}

/// Runs a test with servers that prefer this encoding.
pub async fn with_encoding(encoding: Encoding, test: impl Future<Output = ()>) {
    ENCODING.scope(encoding, test).await;
}

/// Defines two tests for each function, one for servers of each encoding.
#[macro_export]
macro_rules! in_both_encodings {
    ($($test:ident),* $(,)?) => {
        mod json {
            $(#[tokio::test]
            async fn $test() {
                use $crate::api_server::{Encoding, with_encoding};
                with_encoding(Encoding::Json, super::$test()).await;
            })*
        }
        mod protobuf {
            $(#[tokio::test]
            async fn $test() {
                use $crate::api_server::{Encoding, with_encoding};
                with_encoding(Encoding::Protobuf, super::$test()).await;
            })*
        }
    };
}

impl Encoding {
    /// Returns the encoding of [`with_encoding`], or JSON outside of it.
    pub(super) fn of_test() -> Self {
        ENCODING.try_get().unwrap_or(Self::Json)
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// Metadata of a list.
#[derive(Clone, Debug, Default)]
pub(super) struct ListMetadata {
    pub(super) version: u64,
    /// The token of the next page, and an estimate of the number of remaining objects.
    pub(super) next: Option<(String, usize)>,
}

/// The form in which a client receives objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    /// True if objects are cut down to their metadata.
    pub(super) only_metadata: bool,
    pub(super) encoding: Encoding,
}
