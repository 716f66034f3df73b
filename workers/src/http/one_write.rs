//! Writes the head of a request together with its body.
//!
//! The client transmits the head before it has read the body. Each of the two then is a packet of its own,
//! and wakes the receiver.

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Wraps each connection in a [`OneWrite`].
#[derive(Debug)]
pub(super) struct OneWriteConnector;

impl<In: Transport> Connector<In> for OneWriteConnector {
    type Out = OneWrite<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| OneWrite { inner, head: Vec::new(), is_first: true }))
    }
}

/// A connection that transmits the first part of a request with the second one, or when an answer is
/// awaited.
#[derive(Debug)]
pub(super) struct OneWrite<T> {
    inner: T,
    /// The first part, which is transmitted later.
    head: Vec<u8>,
    /// Whether the next part is the first one of its request.
    is_first: bool,
}

impl<T: Transport> OneWrite<T> {
    /// Transmits the head, and as many bytes at the beginning of the buffer.
    fn transmit(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let head = std::mem::take(&mut self.head);
        let output = self.inner.buffers().output();
        // What has no room behind the head follows it.
        let fits = amount.min(output.len() - head.len());
        let rest = output[fits..amount].to_vec();
        output.copy_within(..fits, head.len());
        output[..head.len()].copy_from_slice(&head);
        self.inner.transmit_output(head.len() + fits, timeout)?;
        if rest.is_empty() {
            return Ok(());
        }
        self.inner.buffers().output()[..rest.len()].copy_from_slice(&rest);
        self.inner.transmit_output(rest.len(), timeout)
    }
}

impl<T: Transport> Transport for OneWrite<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if std::mem::take(&mut self.is_first) {
            self.head.extend_from_slice(&self.inner.buffers().output()[..amount]);
            return Ok(());
        }
        if self.head.is_empty() {
            return self.inner.transmit_output(amount, timeout);
        }
        self.transmit(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.is_first = true;
        if !self.head.is_empty() {
            self.transmit(0, timeout)?;
        }
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::OneWriteConnector;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use ureq::unversioned::resolver::DefaultResolver;
    use ureq::unversioned::transport::{Connector as _, DefaultConnector};

    /// What each read of a server returns while a client makes these requests, one after the other.
    fn reads(bodies: &[Option<usize>]) -> Vec<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let lengths: Vec<_> = bodies.iter().map(|body| body.unwrap_or_default()).collect();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reads = Vec::new();
            for length in lengths {
                let mut request = Vec::new();
                let is_whole = |request: &[u8]| {
                    let end = request.windows(4).position(|four| four == b"\r\n\r\n");
                    end.is_some_and(|end| request.len() >= end + 4 + length)
                };
                while !is_whole(&request) {
                    let mut bytes = vec![0; 1 << 20];
                    let read = stream.read(&mut bytes).unwrap();
                    assert_ne!(read, 0);
                    reads.push(bytes[..read].to_vec());
                    request.extend_from_slice(&bytes[..read]);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
            reads
        };
        let server = std::thread::Builder::new().spawn(serve).unwrap();
        let connector = DefaultConnector::new().chain(OneWriteConnector);
        let config = ureq::Agent::config_builder().build();
        let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
        for length in bodies {
            let mut answer = match length {
                Some(length) => agent.post(&url).send(&vec![b'x'; *length][..]).unwrap(),
                None => agent.get(&url).call().unwrap(),
            };
            assert_eq!(answer.body_mut().read_to_string().unwrap(), "ok");
        }
        server.join().unwrap()
    }

    #[test]
    fn a_head_arrives_with_its_body() {
        let reads = reads(&[Some(20_000), Some(0), None, Some(7)]);
        let heads: Vec<_> = reads.iter().map(|read| read.starts_with(b"POST ") as u8).collect();
        assert_eq!(heads, [1, 1, 0, 1]);
        assert!(reads[0].ends_with(&[b'x'; 20_000]));
        assert!(reads[2].starts_with(b"GET ") && reads[3].ends_with(b"\r\n\r\nxxxxxxx"));
    }

    #[test]
    fn bodies_that_are_larger_than_the_buffer_are_whole() {
        let buffer = ureq::Agent::config_builder().build().output_buffer_size();
        for length in [buffer - 1_000, buffer - 1, buffer, buffer + 1, 5 * buffer / 2] {
            let all = reads(&[Some(length)]).concat();
            let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            let body = &all[end + 4..];
            assert!(body.len() == length && body.iter().all(|byte| *byte == b'x'), "{length}");
        }
    }
}
