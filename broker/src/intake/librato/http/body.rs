//! Bodies of requests, within limits of size, time and memory.

use super::route::Unserved;
use crate::intake::librato::answer::Answer;
use crate::intake::librato::memory::{Memory, OutOfMemory, Pending, Reserved};
use flate2::bufread::{GzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::CONTENT_ENCODING;
use std::io::{self, Read};
use std::time::Duration;
use tokio::time::timeout;

/// Maximum size of a body, packed and unpacked, in bytes.
pub(super) const MAX_BODY: usize = 8 << 20;

/// Maximum time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time for the rest of a body whose request is refused.
const REST_TIMEOUT: Duration = Duration::from_secs(5);

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Deflate,
    Gzip,
    None,
}

impl Packing {
    /// Reads the header.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Unserved> {
        let Some(coding) = headers.get(CONTENT_ENCODING) else { return Ok(Self::None) };
        match &*coding.to_str().unwrap_or_default().trim().to_ascii_lowercase() {
            "" | "identity" => Ok(Self::None),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            other => {
                let why = format!("the Content-Encoding is {other:?}; send gzip, deflate or none");
                Err(Unserved(Answer::error(415, &why), "packing"))
            }
        }
    }

    fn unpack(self, packed: &[u8]) -> io::Result<Vec<u8>> {
        let (mut unpacked, mut rest) = (Vec::new(), packed);
        let limit = MAX_BODY as u64 + 1;
        match self {
            Self::Deflate => {
                ZlibDecoder::new(&mut rest).take(limit).read_to_end(&mut unpacked)?;
            }
            // One member, which is what clients send: a body of empty members takes very long.
            Self::Gzip => {
                GzDecoder::new(&mut rest).take(limit).read_to_end(&mut unpacked)?;
            }
            Self::None => {
                rest.read_to_end(&mut unpacked)?;
            }
        }
        if unpacked.len() <= MAX_BODY && !rest.is_empty() {
            let why = format!("{} bytes follow its end", rest.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(unpacked)
    }
}

fn too_large() -> Unserved {
    let why = format!("the body is larger than {} MiB; send fewer measurements", MAX_BODY >> 20);
    Unserved(Answer::error(413, &why), "body_size")
}

fn busy(_: OutOfMemory) -> Unserved {
    let why = "too many large requests arrive at the same time; try again";
    Unserved(Answer::later(why), "busy")
}

/// Receives a body, and unpacks it.
pub(super) async fn receive(
    body: &mut Incoming,
    packing: Packing,
    memory: &Memory,
) -> Result<Pending, Unserved> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    let mut reserved = Reserved::new(memory);
    let bytes = match timeout(BODY_TIMEOUT, collect(body, &mut reserved)).await {
        Ok(bytes) => bytes?,
        Err(_) => {
            let why = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            return Err(Unserved(Answer::error(408, &why), "slow"));
        }
    };
    if packing == Packing::None {
        return Ok(Pending::new(bytes, reserved));
    }
    reserved.add(MAX_BODY).map_err(busy)?;
    match packing.unpack(&bytes) {
        Ok(unpacked) if unpacked.len() > MAX_BODY => Err(too_large()),
        Ok(unpacked) => {
            reserved.keep(unpacked.len());
            Ok(Pending::new(unpacked.into(), reserved))
        }
        Err(error) => {
            let why = format!("the body cannot be unpacked: {error}");
            Err(Unserved(Answer::error(400, &why), "packing"))
        }
    }
}

async fn collect(body: &mut Incoming, reserved: &mut Reserved) -> Result<Bytes, Unserved> {
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let why = format!("the body is not complete, or not valid HTTP: {error}");
            Unserved(Answer::error(400, &why), "http")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if reserved.bytes() + data.len() > MAX_BODY {
            return Err(too_large());
        }
        reserved.add(data.len()).map_err(busy)?;
        // Most bodies arrive at once, and need not be copied.
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// Receives the rest of a body and forgets it, at most `most` bytes: many clients read the answer only
/// when they have sent everything.
pub(super) async fn discard(body: &mut Incoming, most: usize) {
    let all = async {
        let mut left = most;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(bytes) else { return };
            left = less;
        }
    };
    // Whether it ends in time does not matter.
    timeout(REST_TIMEOUT, all).await.ok();
}

#[cfg(test)]
mod tests {
    use super::{MAX_BODY, Packing};
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use hyper::HeaderMap;
    use std::io::Write as _;

    #[test]
    fn bodies_are_unpacked_up_to_a_limit() {
        let zeros = vec![0; MAX_BODY + 100];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&zeros).unwrap();
        let bomb = gzip.finish().unwrap();
        assert!(bomb.len() < MAX_BODY / 50);
        assert_eq!(Packing::Gzip.unpack(&bomb).unwrap().len(), MAX_BODY + 1);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"abc").unwrap();
        assert_eq!(Packing::Deflate.unpack(&zlib.finish().unwrap()).unwrap(), b"abc");
        for bad in [&b""[..], b"abc", &bomb[..bomb.len() / 2]] {
            let unpacked = Packing::Gzip.unpack(bad);
            assert!(unpacked.is_err() || bad.len() > 100, "{unpacked:?}");
        }
    }

    #[test]
    fn nothing_follows_the_end_of_a_packed_body() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"{}").unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"{}").unwrap();
        let zlib = zlib.finish().unwrap();
        for (packing, packed) in [(Packing::Gzip, gzip), (Packing::Deflate, zlib)] {
            assert_eq!(packing.unpack(&packed).unwrap(), b"{}");
            let error = packing.unpack(&packed.repeat(3)).unwrap_err().to_string();
            assert_eq!(error, format!("{} bytes follow its end", 2 * packed.len()), "{packing:?}");
            assert!(packing.unpack(&packed[..packed.len() - 1]).is_err(), "{packing:?}");
        }
    }

    #[test]
    fn the_header_names_the_packing() {
        for (coding, expected) in [
            ("gzip", Some(Packing::Gzip)),
            ("X-GZIP", Some(Packing::Gzip)),
            ("deflate", Some(Packing::Deflate)),
            ("identity", Some(Packing::None)),
            ("br", None),
            ("gzip, gzip", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-encoding", coding.parse().unwrap());
            assert_eq!(Packing::of(&headers).ok(), expected, "{coding}");
        }
        assert_eq!(Packing::of(&HeaderMap::new()), Ok(Packing::None));
    }
}
