//! The floor: a bare hyper server that parses the same JSON with serde. It keeps nothing, or writes the
//! bodies to a file and answers once they are on disk.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::convert::Infallible;
use std::env;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use zibrato_benchmark_pipeline::Failure;

/// The size at which the file is begun anew, as that of a journal.
const FILE_BYTES: usize = 64 << 20;

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

/// A body, and where to say that it is on disk.
type Job = (Bytes, oneshot::Sender<()>);

/// Prints its address, and serves until it is ended. The last argument may name a file for the bodies.
pub(crate) fn serve() -> Result<(), Failure> {
    let disk = match env::args().nth(3) {
        Some(path) => {
            let (disk, jobs) = channel();
            let write = move || write(&path, &jobs).map_err(|error| error.to_string());
            std::thread::Builder::new().name("disk".to_owned()).spawn(write)?;
            Some(disk)
        }
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let disk = disk.clone();
            let service = service_fn(move |request| answer(request, disk.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(tokio::spawn(connection));
        }
    })
}

/// Writes what has arrived while the disk worked at the bodies before.
fn write(path: &str, jobs: &Receiver<Job>) -> io::Result<()> {
    let (mut file, mut bytes) = (File::create(path)?, 0);
    while let Ok(first) = jobs.recv() {
        let group: Vec<_> = [first].into_iter().chain(jobs.try_iter()).collect();
        if bytes >= FILE_BYTES {
            (file, bytes) = (File::create(path)?, 0);
        }
        let bodies: Vec<_> = group.iter().map(|(body, _)| &**body).collect();
        let bodies = bodies.concat();
        bytes += bodies.len();
        file.write_all(&bodies)?;
        file.sync_data()?;
        for (_, to) in group {
            // The client may have gone.
            to.send(()).ok();
        }
    }
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    disk: Option<Sender<Job>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else { return Ok(status(400)) };
    let bytes = body.to_bytes();
    match serde_json::from_slice::<Body>(&bytes) {
        Ok(body) => {
            let gauge = |gauge: &Gauge| gauge.value + gauge.measure_time.unwrap_or(0) as f64;
            let sum: f64 = body.gauges.iter().map(gauge).sum();
            let named = body.gauges.iter().filter(|gauge| gauge.source.is_some());
            let named_bytes: usize = named.map(|gauge| gauge.name.len()).sum();
            black_box((sum, named_bytes, body.source, body.measure_time));
        }
        Err(_) => return Ok(status(400)),
    }
    let Some(disk) = disk else { return Ok(status(200)) };
    let (to, on_disk) = oneshot::channel();
    let is_on_disk = disk.send((bytes, to)).is_ok() && on_disk.await.is_ok();
    Ok(status(if is_on_disk { 200 } else { 503 }))
}

fn status(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response
}
