//! A recipe of docs/recipes.md: an HTTP service that measures its requests by route and status.

use axum::Router;
use axum::extract::{MatchedPath, Path, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use std::error::Error;
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use zibrato::{Zibrato, count_me, time_me};

fn route(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str)
}

#[time_me(name = "http.requests", in_flight,
    tags(route = route(&request), status = |response| response.status().as_u16()))]
#[count_me(name = "http.errors", level = "error", tags(route = route(&request)),
    on = |response| response.status().is_server_error())]
async fn measure(request: Request, next: Next) -> Response {
    next.run(request).await
}

async fn order(Path(number): Path<u32>) -> Result<String, StatusCode> {
    match number {
        0 => Err(StatusCode::INTERNAL_SERVER_ERROR),
        1..100 => Ok(format!("order {number}\n")),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

async fn buy(item: String) -> String {
    format!("bought {item}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _zibrato = Zibrato::builder().source("shop").install()?;
    let shop = Router::new()
        .route("/", get(|| async { "welcome\n" }))
        .route("/orders", post(buy))
        .route("/orders/{number}", get(order))
        .layer(from_fn(measure));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! { _ = terminate.recv() => (), _ = ctrl_c() => () }
    };
    axum::serve(listener, shop).with_graceful_shutdown(stop).await?;
    Ok(())
}
