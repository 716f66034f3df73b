//! Messages of almost the maximum size, from several sockets at once.

use zibrato_tests::DEADLINE;

/// Number of sockets, and number and size of the messages of each.
const SENDERS: usize = 4;
const MESSAGES: usize = 100;
const BYTES: usize = 3 << 20;

/// Sends them to the broker's port for publishers.
pub(super) fn send(port: u16) {
    let context = zibrato::resources::new_context(SENDERS).unwrap();
    let large = vec![b' '; BYTES];
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let push = context.socket(zmq::PUSH).unwrap();
                push.set_sndtimeo(i32::try_from(DEADLINE.as_millis()).unwrap()).unwrap();
                push.set_sndhwm(2).unwrap();
                push.connect(&format!("tcp://127.0.0.1:{port}")).unwrap();
                for _ in 0..MESSAGES {
                    push.send_multipart([b"info", &*large], 0).unwrap();
                }
            });
        }
    });
}
