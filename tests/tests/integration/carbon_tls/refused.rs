//! Servers with which TLS is impossible: each error says what is wrong, and what to do.

use super::{Company, MILLIS, NAMES, carbon, causes, deliver, window};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;
use zibrato_tests::fake::{Authority, TlsPeer};
use zibrato_tests::{DEADLINE, wait_until};
use zibrato_workers::carbon::{Carbon, Tls, TlsFlags};
use zibrato_workers::{Backend, SendError};

/// Sends a window until it is refused, and returns whether only an operator can help, and the error.
/// A server that verifies client certificates may take data before it has verified.
fn refusal(mut carbon: Carbon) -> (bool, String) {
    let payload = carbon.payloads(window(1, 60).0).remove(0);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < DEADLINE, "it was not refused");
        match carbon.send(&payload) {
            Ok(()) => {}
            Err(error) => {
                assert!(carbon.take_back().is_none());
                return (matches!(error, SendError::Stop { .. }), causes(&error));
            }
        }
    }
}

/// The error for a server with this configuration, at this host.
fn refusal_of(server: &Arc<rustls::ServerConfig>, host: &str, flags: &TlsFlags) -> String {
    let peer = TlsPeer::start(Arc::clone(server)).unwrap();
    let address = format!("tls://{host}:{}", peer.port());
    let (needs_operator, why) = refusal(carbon(&address, flags));
    assert!(needs_operator && why.contains(&address), "{why}");
    assert_eq!(peer.received(), "", "a server that is not trusted has received data");
    why
}

fn contains(why: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| why.contains(part)), "{parts:?}: {why}");
}

#[test]
fn a_certificate_that_is_not_valid_is_explained() {
    let company = Company::new();
    let flags = company.flags();
    let server = company.server().server(None).unwrap();
    let why = refusal_of(&server, "localhost", &TlsFlags::default());
    contains(&why, &["certificate of localhost, issued by \"Company Root CA\"", "--ca-file"]);

    let other = company.authority.issue(&["carbon.example.com", "192.0.2.1"]).unwrap();
    let other = other.server(None).unwrap();
    for host in NAMES {
        let why = refusal_of(&other, host, &flags);
        let names = "it is for another host: carbon.example.com, 192.0.2.1; use the host name";
        contains(&why, &[&format!("certificate of {host}"), names]);
    }

    let expired = company.authority.issue_expired(&NAMES).unwrap().server(None).unwrap();
    contains(&refusal_of(&expired, "localhost", &flags), &["it has expired; renew it"]);
}

#[test]
fn a_missing_and_a_wrong_client_certificate_are_explained() {
    let company = Company::new();
    let server = company.server().server(Some(&company.authority)).unwrap();
    let why = refusal_of(&server, "localhost", &company.flags());
    contains(&why, &["requires a client certificate; give --client-cert and --client-key"]);

    let stranger = Authority::new("Stranger").unwrap();
    company.write_client("stranger", &stranger);
    let why = refusal_of(&server, "localhost", &company.flags_of_client("stranger"));
    contains(&why, &["rejects the client certificate", "--client-cert"]);
}

#[test]
fn files_that_have_changed_are_read_again() {
    let company = Company::new();
    let server = company.server().server(Some(&company.authority)).unwrap();
    let peer = TlsPeer::start(server).unwrap();
    let stranger = Authority::new("Stranger").unwrap();
    company.write_client("worker", &stranger);
    std::fs::write(company.path("authorities/ca.pem"), stranger.pem()).unwrap();
    let address = format!("tls://localhost:{}", peer.port());
    let mut carbon = carbon(&address, &company.flags_of_client("worker"));
    let payload = carbon.payloads(window(1, 60).0).remove(0);
    let mut refused = || {
        let error = carbon.send(&payload).unwrap_err();
        assert!(matches!(error, SendError::Stop { .. }), "{}", causes(&error));
        causes(&error)
    };
    contains(&refused(), &["its issuer is not a trusted authority"]);
    std::fs::write(company.path("authorities/ca.pem"), company.authority.pem()).unwrap();
    contains(&refused(), &["the server rejects the client certificate"]);
    // The certificate is there before its key.
    let renewed = company.authority.issue(&["worker.example.com"]).unwrap();
    renewed.write(&company.path("worker.pem"), &company.path("new.key")).unwrap();
    contains(&refused(), &["the server rejects the client certificate"]);
    std::fs::rename(company.path("new.key"), company.path("worker.key")).unwrap();
    let (window, line) = window(2, 120);
    deliver(&mut carbon, window);
    wait_until(DEADLINE, "the line", || peer.received().contains(&line));
}

#[test]
fn servers_that_do_not_speak_tls_are_recognized() {
    let company = Company::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("tls://localhost:{port}");
    let answers = move || {
        let mut first = listener.accept().unwrap().0;
        assert!(first.read(&mut [0; 512]).unwrap() > 0);
        first.write_all(b"550 what do you mean\r\n").unwrap();
        // Like Carbon's receiver of pickles.
        listener.accept().unwrap().0.read_exact(&mut [0; 4]).unwrap();
        // Like Carbon's receiver of lines, which waits for the end of a line. The next connection
        // is not even accepted.
        let third = listener.accept().unwrap().0;
        (third, listener)
    };
    let answers = Builder::new().spawn(answers).unwrap();
    let flags = company.flags();
    let refused = || refusal(carbon(&address, &flags).timeout(MILLIS(1_000)));
    for part in [
        "the server does not speak TLS on this port",
        "the server closes the connection during the TLS handshake; check that it speaks TLS",
        "the server does not complete the TLS handshake in time; check that it speaks TLS",
    ] {
        let (needs_operator, why) = refused();
        assert!(!needs_operator, "it may be starting: {why}");
        contains(&why, &[part, "leave out tls://", &address]);
    }
    drop(answers.join().unwrap());
}

#[test]
fn a_server_with_tls_is_recognized_by_a_connection_without() {
    let company = Company::new();
    let server = company.server().server(None).unwrap();
    for scheme in ["tcp", "pickle"] {
        let peer = TlsPeer::start(Arc::clone(&server)).unwrap();
        let address = format!("{scheme}://127.0.0.1:{}", peer.port());
        let (needs_operator, why) = refusal(Carbon::to(address.parse().unwrap()));
        assert!(needs_operator, "{why}");
        contains(
            &why,
            &["the server expects TLS on this port; write tls:// in front of its address"],
        );
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let company = Company::new();
    company.write_client("worker", &company.authority);
    company.write_client("other", &company.authority);
    std::fs::write(company.path("empty"), "").unwrap();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(company.path("encrypted"), encrypted).unwrap();
    let load = |certificate: Option<&str>, key: Option<&str>| {
        let mut flags = company.flags();
        flags.client_cert = certificate.map(|name| company.path(name));
        flags.client_key = key.map(|name| company.path(name));
        Tls::load(&flags).map_err(|failure| (failure.exit as u8, failure.message))
    };
    assert!(load(Some("worker.pem"), Some("worker.key")).is_ok());
    for (certificate, key, parts) in [
        (Some("worker.pem"), None, &["--client-cert needs", "give --client-key"][..]),
        (None, Some("worker.key"), &["--client-key needs", "give --client-cert"]),
        (Some("missing"), Some("worker.key"), &["--client-cert ", "missing: No such file"]),
        (Some("empty"), Some("worker.key"), &["--client-cert ", "empty: contains no certificate"]),
        (Some("worker.pem"), Some("empty"), &["--client-key ", "empty: contains no private key"]),
        (Some("worker.pem"), Some("encrypted"), &["encrypted: the key is encrypted"]),
        (Some("worker.pem"), Some("other.key"), &["--client-key ", "is not the key of the"]),
    ] {
        let (exit, why) = load(certificate, key).unwrap_err();
        assert_eq!(exit, 78);
        contains(&why, parts);
    }
    let never: Carbon = Carbon::to("tls://a_b..c:1".parse().unwrap());
    let why = never.tls(&Tls::load(&company.flags()).unwrap()).unwrap_err().message;
    contains(&why, &["--carbon: a certificate cannot be for the host a_b..c"]);
}
