//! Long lists.

use super::client;
use serde_json::{Value, json};
use zibrato_tests::fake::{Reply, ScriptedServer};
use zibrato_workers::librato::client::ListQuery;

const ALL: u64 = 50_000;

fn page(offset: u64, found: u64) -> Reply {
    let length = found.saturating_sub(offset).min(100);
    let metrics: Vec<Value> = (offset..offset + length)
        .map(|at| json!({ "name": format!("m{at}"), "type": "gauge" }))
        .collect();
    let query = json!({ "found": found, "length": length, "offset": offset, "total": ALL });
    Reply::json(200, &json!({ "query": query, "metrics": metrics }))
}

#[test]
fn fifty_thousand_metrics_are_read_a_page_at_a_time() {
    let server = ScriptedServer::start().unwrap();
    (0..ALL / 100).for_each(|at| server.answer_with(page(at * 100, ALL)));
    let client = client(&server).build().unwrap();
    let metrics = client.metrics();
    let mut all = metrics.all(&ListQuery::new());
    assert_eq!(server.requests().len(), 0);
    for at in 0..ALL {
        assert_eq!(all.next().unwrap().unwrap().name, format!("m{at}"));
        // No page is requested before its first metric is taken.
        if at % 997 == 0 {
            assert_eq!(server.requests().len() as u64, at / 100 + 1);
        }
    }
    assert!(all.next().is_none() && all.next().is_none());
    let queries: Vec<_> = server.requests().into_iter().map(|request| request.query).collect();
    let offsets = (1..ALL / 100).map(|at| format!("offset={}", at * 100));
    assert_eq!(queries, [String::new()].into_iter().chain(offsets).collect::<Vec<_>>());
}

#[test]
fn a_list_ends_at_an_error_and_at_an_empty_page() {
    let server = ScriptedServer::start().unwrap();
    server.answer_with(page(0, 250));
    server.answer_with(Reply::json(403, &json!({ "error": "no" })));
    let client = client(&server).build().unwrap();
    let mut all = client.metrics().all(&ListQuery::new());
    assert_eq!(all.by_ref().take(100).filter(Result::is_ok).count(), 100);
    assert_eq!(all.next().unwrap().unwrap_err().to_string(), "[403] no");
    assert!(all.next().is_none());
    // A server that never comes to the end of its list.
    let query = json!({ "found": u64::MAX, "length": 0, "offset": 0, "total": u64::MAX });
    server.answer_always(Some(Reply::json(200, &json!({ "query": query, "metrics": [] }))));
    assert_eq!(client.metrics().all(&ListQuery::new()).count(), 0);
    assert_eq!(server.requests().len(), 3);
}
