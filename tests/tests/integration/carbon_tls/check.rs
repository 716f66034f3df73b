//! The command `check` of servers that end the connection: it says why, as far as they have said it.

use super::{Company, carbon};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;
use zibrato_tests::fake::{Authority, TlsPeer};
use zibrato_tests::{Carbon, Ports, Running, Stunnel, program};
use zibrato_workers::BackendProgram;

/// How much later the answers of a server arrive than on this machine.
const LATENCY: Duration = Duration::from_millis(150);

/// A port behind which the server with this port is far away, for one connection.
fn far_away(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let forward = move || {
        let near = listener.accept().unwrap().0;
        let far = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        Builder::new().spawn(move || io::copy(&mut from, &mut to).ok()).unwrap();
        answer(far, near).ok();
    };
    Builder::new().spawn(forward).unwrap();
    port
}

/// Forwards the answers of a server, each of them later.
fn answer(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16_384];
    loop {
        let read = from.read(&mut bytes)?;
        std::thread::sleep(LATENCY);
        if read == 0 {
            return to.shutdown(Shutdown::Both);
        }
        to.write_all(bytes.get(..read).unwrap_or_default())?;
    }
}

#[test]
fn a_client_certificate_that_a_distant_server_refuses_is_explained() {
    let company = Company::new();
    let server = company.server().server(Some(&company.authority)).unwrap();
    company.write_client("stranger", &Authority::new("Stranger").unwrap());
    for (flags, part) in [
        (company.flags(), "requires a client certificate; give --client-cert"),
        (company.flags_of_client("stranger"), "rejects the client certificate"),
    ] {
        let peer = TlsPeer::start(Arc::clone(&server)).unwrap();
        let address = format!("tls://localhost:{}", far_away(peer.port()));
        let why = carbon(&address, &flags).reach().unwrap().fails.unwrap();
        assert!(why.contains(part) && !why.contains("pickles"), "{why}");
    }
}

#[test]
fn a_port_that_expects_tls_is_recognized() {
    let (company, carbon, ports) = (Company::new(), Carbon::start(), Ports::take());
    let services = [(ports.at(0), carbon.port()), (ports.at(1), carbon.pickle_port())];
    let _stunnel = Stunnel::start(&company.server(), &services, None);
    for address in
        [format!("localhost:{}", ports.at(0)), format!("pickle://localhost:{}", ports.at(1))]
    {
        let mut check = Command::new(program("zibrato-carbon"));
        let (status, output, _) = Running::run(check.args(["check", "--carbon", &address]));
        let expected = format!(
            "{address}: failed: {address} has ended the connection: the server expects TLS on this port"
        );
        assert!(status.code() == Some(69) && output.contains(&expected), "{output}");
    }
    assert!(carbon.metrics().is_empty());
}
