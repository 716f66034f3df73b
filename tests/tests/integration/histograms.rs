//! Histograms, from the macro and from lines through the broker to Carbon and `zibrato-tail`.

use std::time::Duration;
use zibrato::{Zibrato, histogram};
use zibrato_tests::{Broker, Carbon, DEADLINE, Signal, wait_until};

#[test]
fn a_distribution_is_in_carbon_with_its_parts_and_in_tail_with_its_unit() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    let mut worker = broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address]);
    let tail = broker.worker("zibrato-tail", &[]);
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    // Everything is sent at once, by the flush.
    let guard = builder.interval(Duration::from_secs(3600)).install().unwrap();
    for bytes in [512.0, -4.5, 1024.0, f64::NAN] {
        histogram!("info", "response.size", bytes, unit = "bytes");
    }
    let z = guard.handle();
    z.histogram("info", "import.rows").unit("rows").record(7_u8);
    let stats = z.flush(DEADLINE);
    assert_eq!((stats.recorded, stats.delivered, stats.total_lost()), (5, 4, 1));

    let name = |part: &str| format!("web-1.response.size.{part}");
    wait_until(DEADLINE, "the histogram to be in Carbon", || carbon.sum(&name("count")) == 3.0);
    assert_eq!(carbon.sum(&name("sum")), 1531.5);
    assert_eq!((carbon.sum(&name("min")), carbon.sum(&name("max"))), (-4.5, 1024.0));
    let median = carbon.sum(&name("p50"));
    assert!((median / 512.0 - 1.0).abs() < 0.01, "{median}");
    wait_until(DEADLINE, "the rows", || carbon.sum("web-1.import.rows.max") == 7.0);
    wait_until(DEADLINE, "the histogram in tail", || {
        let parts = ["histogram", "response.size", "max=1024", "unit=bytes"];
        tail.output().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn lines_with_mtype_h_are_a_histogram_in_carbon() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    let _worker = broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address]);
    let push = zmq::Context::new().socket(zmq::PUSH).unwrap();
    push.connect(&format!("tcp://127.0.0.1:{}", broker.port())).unwrap();
    let now = zibrato::clock::unix_ms() / 1000;
    for (mtype, value) in [("h", "5"), ("Histogram", "-2"), ("histograms", "1e3"), ("h", "nan")] {
        push.send(&*format!("info|{mtype}|sizes|{value}|{now}|py-1"), 0).unwrap();
    }
    wait_until(DEADLINE, "the lines to be in Carbon", || carbon.sum("py-1.sizes.count") == 3.0);
    assert_eq!(carbon.sum("py-1.sizes.sum"), 1003.0);
}
