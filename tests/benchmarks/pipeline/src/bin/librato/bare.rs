//! The floor: a bare hyper server that parses the same JSON with serde, and keeps nothing.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::convert::Infallible;
use std::hint::black_box;
use tokio::net::TcpListener;
use zibrato_benchmark_pipeline::Failure;

/// The body of a request.
#[derive(Deserialize)]
struct Body {
    gauges: Vec<Gauge>,
    source: Option<String>,
    measure_time: Option<u64>,
}

/// A measurement.
#[derive(Deserialize)]
struct Gauge {
    name: String,
    value: f64,
    source: Option<String>,
    measure_time: Option<u64>,
}

/// Prints its address, and serves until it is ended.
pub(crate) fn serve() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            drop(tokio::spawn(connection));
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else { return Ok(status(400)) };
    match serde_json::from_slice::<Body>(&body.to_bytes()) {
        Ok(body) => {
            let gauge = |gauge: &Gauge| gauge.value + gauge.measure_time.unwrap_or(0) as f64;
            let sum: f64 = body.gauges.iter().map(gauge).sum();
            let named = body.gauges.iter().filter(|gauge| gauge.source.is_some());
            let bytes: usize = named.map(|gauge| gauge.name.len()).sum();
            black_box((sum, bytes, body.source, body.measure_time));
            Ok(status(200))
        }
        Err(_) => Ok(status(400)),
    }
}

fn status(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response
}
