//! The addresses of a broker's endpoints, and how a socket listens there.

use crate::ipc::Folder;
use crate::start_error::StartError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use zibrato::wire::Endpoint;

/// The highest base port that leaves room for the other three.
pub(crate) const MAX_BASE_PORT: u16 = u16::MAX - Endpoint::Legacy.offset();

/// The addresses on which a broker listens.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// `None` if it does not listen on TCP.
    pub(crate) address: Option<IpAddr>,
    pub(crate) base: u16,
    pub(crate) folder: Option<Arc<Folder>>,
}

impl Ports {
    pub(crate) const fn port(&self, endpoint: Endpoint) -> u16 {
        self.base + endpoint.offset()
    }

    /// The address with a port in ZeroMQ's format, if there is an address.
    pub(crate) fn tcp_endpoint(&self, port: u16) -> Option<String> {
        self.address.map(|address| format!("tcp://{}", SocketAddr::new(address, port)))
    }

    /// The addresses of an endpoint in ZeroMQ's format.
    pub(crate) fn endpoints(&self, endpoint: Endpoint) -> Vec<String> {
        let ipc = self.folder.as_ref().map(|folder| folder.endpoint(endpoint));
        self.tcp_endpoint(self.port(endpoint)).into_iter().chain(ipc).collect()
    }

    /// Makes a socket listen at an endpoint: at all its addresses, or at none if there is an error.
    pub(crate) fn listen(
        &self,
        socket: &zmq::Socket,
        endpoint: Endpoint,
    ) -> Result<(), StartError> {
        let port = self.port(endpoint);
        if let (Some(address), Some(endpoint)) = (self.address, self.tcp_endpoint(port)) {
            let bound = socket.bind(&endpoint);
            bound.map_err(|error| StartError::from_bind(error, address, self.base, port))?;
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        folder
            .bind(socket, endpoint)
            .inspect_err(|_| self.close(socket, endpoint))
            .map_err(Into::into)
    }

    /// Stops listening at an endpoint, and closes all connections made there.
    pub(crate) fn close(&self, socket: &zmq::Socket, endpoint: Endpoint) {
        for address in self.endpoints(endpoint) {
            if let Err(error) = socket.unbind(&address) {
                tracing::debug!(event = "unbind", address, %error);
            }
        }
    }
}
