//! Answers that are not those of the API.

use super::client;
use serde_json::json;
use std::time::Duration;
use zibrato_tests::fake::{Reply, ScriptedServer};
use zibrato_workers::librato::client::{
    ApiErrorKind, Client, Error, ListQuery, Measurement, RetryPolicy,
};

/// A server that always gives this answer.
fn server(reply: Reply) -> ScriptedServer {
    let server = ScriptedServer::start().unwrap();
    server.answer_always(Some(reply));
    server
}

fn submit(client: &Client) -> Result<(), Error> {
    client.submit(Measurement::gauge("t", 1))
}

fn unauthorized(text: &str) -> Reply {
    Reply::json(401, &json!({ "errors": { "request": [text] } }))
}

#[test]
fn wrong_credentials_and_expired_tokens_are_final() {
    for text in ["Authorization Required", "The token tok123 has expired"] {
        let server = server(unauthorized(text));
        let error = submit(&client(&server).build().unwrap()).unwrap_err();
        assert_eq!(error.kind(), Some(ApiErrorKind::Unauthorized));
        let expected = format!("[401] request: {}", text.replace("tok123", "***"));
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("tok123"), "{error:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn html_and_broken_json_are_no_success() {
    let html = Reply::status(200).header("Content-Type", "text/html").body("<p>Log in</p>");
    let json =
        |body: &str| Reply::status(200).header("Content-Type", "application/json").body(body);
    for (reply, part) in [
        (html, "it is not JSON, but begins with \"<p>Log in</p>\""),
        (json("{\"metrics\": [}"), "expected value"),
        (json("[]"), "invalid type"),
        (json("{}"), "no field `metrics`"),
        (json("{\"metrics\": [{\"name\": 7}]}"), "invalid type"),
        (json(""), "it is empty"),
        (json("\u{0}\u{7f}"), "expected value"),
    ] {
        let server = server(reply);
        let error = client(&server).build().unwrap().metrics().list(&ListQuery::new()).unwrap_err();
        assert!(matches!(error, Error::Unreadable { code: 200, .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_success_with_errors_inside_is_an_error_and_nothing_is_sent_again() {
    let body = json!({
        "measurements": { "summary": { "total": 2, "accepted": 1, "failed": 1 } },
        "errors": [{ "param": "name", "value": "two words", "reason": "is invalid" }],
    });
    let server = server(Reply::json(202, &body));
    let client = client(&server).build().unwrap();
    let mut queue = client.queue();
    queue.add(Measurement::gauge("one", 1)).unwrap();
    queue.add(Measurement::gauge("two words", 1)).unwrap();
    let error = queue.submit().unwrap_err();
    assert_eq!(error.kind(), Some(ApiErrorKind::Partial));
    let payload = error.payload().unwrap();
    assert!(payload.errors().iter().any(|error| error.path == ["reason"]), "{payload:?}");
    assert!(payload.message().contains("is invalid") && queue.is_empty(), "{payload:?}");
    queue.submit().unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn half_an_answer_is_asked_for_again_and_then_an_error() {
    let whole = Reply::json(200, &json!({ "metrics": [{ "name": "a" }] }));
    let server = server(whole.clone().cut_after(120));
    server.answer_with(whole.clone().cut_after(30));
    server.answer_with(whole.clone().cut_after(120));
    server.answer_with(whole);
    let client = client(&server).build().unwrap();
    let page = client.metrics().list(&ListQuery::new()).unwrap();
    assert_eq!((page.items[0].name.as_str(), server.requests().len()), ("a", 3));
    let error = client.metrics().list(&ListQuery::new()).unwrap_err();
    assert!(error.to_string().contains("ends early"), "{error}");
    assert_eq!(server.requests().len(), 8);
}

#[test]
fn a_long_answer_is_not_read_to_its_end() {
    let long = "x".repeat(3 << 20);
    let server = server(Reply::json(200, &json!({ "metrics": [{ "name": long }] })));
    let client = client(&server).max_answer_bytes(1 << 20).build().unwrap();
    let error = client.metrics().list(&ListQuery::new()).unwrap_err();
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = server(Reply::json(200, &json!({ "metrics": [] })));
    for code in [301, 302, 303, 307, 308] {
        let server = server(Reply::status(code).header("Location", &elsewhere.url()));
        let client = client(&server).build().unwrap();
        for error in [submit(&client).unwrap_err(), client.metrics().get("a").unwrap_err()] {
            let Error::Moved { code: found, location } = &error else { panic!("{error:?}") };
            assert_eq!((*found, location.as_deref()), (code, Some(&*elsewhere.url())));
        }
        assert_eq!(server.requests().len(), 2);
    }
    assert_eq!(elsewhere.requests(), []);
}

#[test]
fn a_link_to_another_host_is_not_followed() {
    let elsewhere = server(Reply::json(200, &json!({ "series": [] })));
    let server = ScriptedServer::start().unwrap();
    let client = client(&server).build().unwrap();
    let series = |href: &str| {
        let links = json!([{ "rel": "next", "href": href }]);
        server.answer_with(Reply::json(200, &json!({ "series": [], "links": links })));
        let query = zibrato_workers::librato::client::MeasurementsQuery::new(
            zibrato_workers::librato::client::Span::last(60),
        );
        client.measurements().get("cpu", &query).unwrap()
    };
    for href in [
        format!("{}/v1/measurements/cpu", elsewhere.url()),
        "//127.0.0.2/v1/measurements/cpu".to_owned(),
        "https://127.0.0.1@evil.example.com/v1/measurements".to_owned(),
        "/v2/measurements".to_owned(),
        "x".to_owned(),
    ] {
        let error = client.measurements().next(&series(&href)).unwrap_err();
        assert!(matches!(error, Error::Moved { .. }), "{href}: {error:?}");
    }
    for href in [
        format!("{}/v1/measurements/cpu?start_time=7", server.url()),
        "/v1/measurements/cpu?start_time=7".to_owned(),
    ] {
        let first = series(&href);
        server.answer_with(Reply::json(200, &json!({ "series": [{ "tags": {} }] })));
        let next = client.measurements().next(&first).unwrap().unwrap();
        assert_eq!(next.series.len(), 1);
        assert_eq!(client.measurements().next(&next).unwrap(), None);
        let last = server.requests().pop().unwrap();
        assert_eq!((&*last.path, &*last.query), ("/v1/measurements/cpu", "start_time=7"));
    }
    assert_eq!(elsewhere.requests(), []);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let server = server(Reply::hang());
    let timeout = Duration::from_millis(200);
    let builder = client(&server).timeout(timeout);
    let client = builder.clone().retries(RetryPolicy::never()).build().unwrap();
    let error = submit(&client).unwrap_err();
    assert!(matches!(error, Error::Timeout(after) if after == timeout), "{error:?}");
    assert_eq!(server.requests().len(), 1);
    // Measurements are sent again. An annotation could be there twice.
    let first = Duration::from_millis(1);
    let client =
        builder.retries(RetryPolicy::default().attempts(3).first_wait(first)).build().unwrap();
    submit(&client).unwrap_err();
    assert_eq!(server.requests().len(), 4);
    let deploy = zibrato_workers::librato::client::Annotation::new("v91");
    client.annotations().post("deploys", &deploy).unwrap_err();
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_server_that_is_not_there_is_named_as_the_cause() {
    let url = ScriptedServer::start().unwrap().url();
    let credentials = zibrato_workers::librato::client::Credentials::new("a", "b").unwrap();
    let builder = Client::builder(credentials).url(url).retries(RetryPolicy::never());
    let error = submit(&builder.build().unwrap()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert!(matches!(error, Error::Connection(_)), "{error:?} {cause}");
}
