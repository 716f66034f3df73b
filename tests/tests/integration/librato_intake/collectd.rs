//! A real CollectD sends its values with two of its plugins: write_http, as Librato told its users to, and
//! network. Both reach Carbon as its own csv plugin wrote them.

use super::{Service, TOKEN, USER};
use crate::collectd::{assert_stored, collectd_with, equal, port, stop_when_enough};
use zibrato_tests::{Carbon, DEADLINE, wait_until};

#[test]
fn what_write_http_sends_is_in_carbon_and_equals_what_network_sends() {
    // The csv plugin writes into no folder whose name begins with a dot.
    let folder = tempfile::Builder::new().prefix("collectd-").tempdir().unwrap();
    let mut service = Service::start(&["--collectd", "127.0.0.1:0"]);
    let [over_http, over_udp] = [(); 2].map(|()| Carbon::start());
    let _workers = [("librato", &over_http), ("info", &over_udp)].map(|(level, carbon)| {
        let address = format!("127.0.0.1:{}", carbon.port());
        let flags = ["--levels", level, "--name", level, "--flush", "1", "--carbon", &address];
        service.broker.worker("zibrato-carbon", &flags)
    });
    let write_http = format!(
        "LoadPlugin write_http\n\
         <Plugin write_http>\n<Node \"librato\">\n\
         URL \"http://{}/v1/measurements\"\nUser \"{USER}\"\nPassword \"{TOKEN}\"\n\
         Format \"JSON\"\nLogHttpError true\n\
         </Node>\n</Plugin>\n",
        service.address()
    );
    let port = port(&mut service.broker);
    let collectd = collectd_with(&folder, &port, "", &write_http);
    let written = stop_when_enough(collectd, &folder);
    let count = written.values().map(Vec::len).sum::<usize>() as f64;
    for intake in ["collectd", "librato"] {
        let lines = format!("zibrato_broker_lines_total{{intake=\"{intake}\"}}");
        wait_until(DEADLINE, intake, || service.broker.metric(&lines) >= count);
        assert_eq!(service.broker.metric(&lines), count, "{intake}");
    }
    assert_stored(&over_udp, &written, equal);
    assert_stored(&over_http, &written, nearly_equal);
    // It sends its credentials when it is asked for them, which is no guess.
    let page = service.broker.page("/metrics");
    let rejected = page.lines().filter(|line| line.contains("rejected_total{"));
    let reasons: Vec<_> = rejected.filter(|line| !line.contains("no_credentials")).collect();
    assert_eq!(reasons, [""; 0]);
}

/// Times in JSON have three decimals, so that rates differ by a thousandth, or more while CollectD is late.
fn nearly_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 + 0.02 * b.abs()
}
