//! Where the doors of a broker are, and how a socket is put there.

use crate::bind::StartError;
use crate::ipc::Folder;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use zibrato::wire::Door;

/// Where a broker listens.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// None if it does not listen on TCP.
    pub(crate) address: Option<IpAddr>,
    pub(crate) base: u16,
    pub(crate) folder: Option<Arc<Folder>>,
}

impl Ports {
    pub(crate) const fn port(&self, door: Door) -> u16 {
        self.base + door.offset()
    }

    /// As ZeroMQ writes the address with a port, if there is one.
    pub(crate) fn tcp_endpoint(&self, port: u16) -> Option<String> {
        self.address.map(|address| format!("tcp://{}", SocketAddr::new(address, port)))
    }

    /// As ZeroMQ writes the addresses of a door.
    pub(crate) fn endpoints(&self, door: Door) -> Vec<String> {
        let ipc = self.folder.as_ref().map(|folder| folder.endpoint(door));
        self.tcp_endpoint(self.port(door)).into_iter().chain(ipc).collect()
    }

    /// Makes a socket listen at a door: everywhere, or nowhere if there is an error.
    pub(crate) fn listen(&self, socket: &zmq::Socket, door: Door) -> Result<(), StartError> {
        let port = self.port(door);
        if let (Some(address), Some(endpoint)) = (self.address, self.tcp_endpoint(port)) {
            let bound = socket.bind(&endpoint);
            bound.map_err(|error| StartError::from_bind(error, address, port))?;
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        folder.bind(socket, door).inspect_err(|_| self.close(socket, door)).map_err(Into::into)
    }

    /// Ends listening at a door, and all connections that were made there.
    pub(crate) fn close(&self, socket: &zmq::Socket, door: Door) {
        for endpoint in self.endpoints(door) {
            if let Err(error) = socket.unbind(&endpoint) {
                tracing::debug!(event = "unbind", endpoint, %error);
            }
        }
    }
}
