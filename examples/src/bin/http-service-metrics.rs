//! The same service as `http-service`, measured with the crates `metrics` and
//! `metrics-exporter-prometheus`, for comparison.

use axum::Router;
use axum::extract::{MatchedPath, Path, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::error::Error;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let in_flight = gauge!("http_requests_in_flight", "route" => route.clone());
    in_flight.increment(1.0);
    let begun = Instant::now();
    let response = next.run(request).await;
    in_flight.decrement(1.0);
    let status = response.status();
    let labels = [("route", route.clone()), ("status", status.as_u16().to_string())];
    histogram!("http_requests_seconds", &labels).record(begun.elapsed());
    if status.is_server_error() {
        counter!("http_errors_total", "route" => route).increment(1);
    }
    response
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
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let shop = Router::new()
        .route("/", get(|| async { "welcome\n" }))
        .route("/orders", post(buy))
        .route("/orders/{number}", get(order))
        .layer(from_fn(measure))
        .route("/metrics", get(async move || metrics.render()));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! { _ = terminate.recv() => (), _ = ctrl_c() => () }
    };
    axum::serve(listener, shop).with_graceful_shutdown(stop).await?;
    Ok(())
}
