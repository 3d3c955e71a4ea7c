//! Writes what docs/memory.md shows: its tables and docs/memory.svg, both of docs/memory.csv.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::Path;

use poddns_benches::memory::{Results, page, plot};

fn main() -> Result<(), Box<dyn Error>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let [csv, markdown, svg] = ["memory.csv", "memory.md", "memory.svg"].map(|name| docs.join(name));
    let results: Results = fs::read_to_string(&csv)?.parse()?;
    let text = page(&fs::read_to_string(&markdown)?, &results).ok_or("docs/memory.md has no marks")?;
    fs::write(&markdown, text)?;
    fs::write(&svg, plot(&results))?;
    Ok(())
}
