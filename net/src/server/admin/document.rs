//! Comparison of documents with the text that the code generates.

use std::path::Path;
use std::{env, fs};

/// Compares a document of the repository with its generated text, or writes it if `PODDNS_WRITE_DOCUMENTS` is set.
#[track_caller]
pub(crate) fn check(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if env::var_os("PODDNS_WRITE_DOCUMENTS").is_some() {
        fs::write(&file, text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == text,
        "{path} is not what the code makes of it: \
         PODDNS_WRITE_DOCUMENTS=1 cargo test --workspace --lib document"
    );
}
