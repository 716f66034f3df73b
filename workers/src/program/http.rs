//! The HTTP pages of a program: their address, and their server.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;
use zibrato::daemon::{Exit, Failure, HttpError, HttpServer, Page};

/// The address of the HTTP pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    /// Serve them at this address.
    At(SocketAddr),
    /// Serve no pages.
    Off,
}

/// A text is no address.
#[derive(Debug, thiserror::Error)]
#[error("expected HOST:PORT, such as 127.0.0.1:5581, or `off`")]
pub(crate) struct AddressError;

impl FromStr for Http {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = text.to_socket_addrs().ok().and_then(|mut all| all.next());
        address.map(Self::At).ok_or(AddressError)
    }
}

impl Http {
    /// Binds the address, if there is one.
    pub(crate) fn bind(self) -> Result<Option<TcpListener>, Failure> {
        let Self::At(address) = self else { return Ok(None) };
        HttpServer::probe(address).map(Some).map_err(failure)
    }
}

/// Serves the pages that `pages` returns for each path.
pub(crate) fn serve(
    listener: TcpListener,
    pages: impl Fn(&str) -> Page + Send + Sync + 'static,
) -> Result<HttpServer, Failure> {
    HttpServer::serve(listener, pages).map_err(failure)
}

fn failure(error: HttpError) -> Failure {
    Failure::new(Exit::Unavailable, error.to_string())
}

/// The page for a path that has none.
pub(crate) fn no_such_page() -> Page {
    Page::text(404, "no such page; the pages are /healthz, /readyz and /metrics\n")
}

#[cfg(test)]
mod tests {
    use super::Http;

    #[test]
    fn pages_are_off_or_at_an_address() {
        let parse = |text: &str| text.parse::<Http>();
        assert_eq!(parse("off").unwrap(), Http::Off);
        assert_eq!(parse("127.0.0.1:80").unwrap(), Http::At("127.0.0.1:80".parse().unwrap()));
        assert!(parse("5581").is_err());
    }
}
