//! docs/memory.md and docs/memory.svg agree with docs/memory.csv.

use poddns_benches::memory::{Results, page, plot};

#[test]
fn tables_and_plot_match_figures() {
    let results: Results = include_str!("../../../docs/memory.csv").parse().expect("results");
    let markdown = include_str!("../../../docs/memory.md");
    let why = "run `cargo run -p poddns-benches --bin memory -- report`";
    assert_eq!(page(markdown, &results).as_deref(), Some(markdown), "{why}");
    assert!(plot(&results) == include_str!("../../../docs/memory.svg"), "{why}");
}
