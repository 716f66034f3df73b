//! The page about the client.

use zibrato_tests::repository;

#[test]
fn every_call_of_the_table_is_in_an_example_that_is_compiled() {
    let page = std::fs::read_to_string(repository().join("docs/librato.md")).unwrap();
    let blocks = page.split("```rust,no_run\n").skip(1);
    let examples: String = blocks.map(|block| block.split("```").next().unwrap()).collect();
    let table = page.split("| python-librato | here |\n").nth(1).unwrap();
    let rows: Vec<_> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 60, "{}", rows.len());
    for row in rows {
        let ours = row.split(" | ").nth(1).unwrap();
        let calls: Vec<_> = ours.split('`').skip(1).step_by(2).collect();
        assert!(!calls.is_empty(), "{row}");
        for call in calls {
            assert!(examples.contains(call), "{call}");
        }
    }
}
