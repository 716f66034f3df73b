//! An example of `docs/testing.md`: a service with axum.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zibrato::testing::{assert_counted, assert_timed, capture_process};

fn app() -> Router {
    Router::new().route("/users/{id}", get(user))
}

#[zibrato::time_me(name = "http.user")]
async fn user(Path(id): Path<u32>) -> (StatusCode, String) {
    let status = if id == 1 { StatusCode::OK } else { StatusCode::NOT_FOUND };
    zibrato::count!("info", "http.requests", tags(route = "/users/{id}", status = status.as_u16()));
    (status, format!("user {id}"))
}

/// Sends a request, and returns the whole answer.
async fn request(server: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

// axum runs each connection in a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_by_route_and_status() {
    let capture = capture_process();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let serving = tokio::spawn(async { axum::serve(listener, app()).await });

    for path in ["/users/1", "/users/2", "/users/3"] {
        request(server, path).await;
    }

    assert_counted!(capture, "http.requests", tags(route = "/users/{id}"), 3);
    assert_counted!(capture, "http.requests", tags(status = 404), 2);
    assert_timed!(capture, "http.user", 3);
    serving.abort();
}
