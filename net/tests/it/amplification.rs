//! Responses are at most 2.6 times as long as their queries, so forged queries amplify traffic little.

#[path = "../../examples/amplification.rs"]
#[allow(dead_code, unreachable_pub)]
mod example;

#[test]
fn responses_are_shorter_than_three_queries() {
    let rows = example::table();
    assert_eq!(rows.len(), 3 * 16 + 2, "every kind has an answer");
    for row in &rows {
        println!("{row}");
        assert!(row.response * 10 <= row.query * 26, "{row}");
        // A response of the rate limiter is the query and at most an extended error and a server cookie.
        assert!(row.truncated <= row.query + 6 + 16, "{row}");
        assert!(row.truncated <= row.response, "{row}");
    }
}
