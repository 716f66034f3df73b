//! The flags of the intake, and the errors in them.

use crate::program::ended;
use std::net::TcpListener;

#[test]
fn flags_that_are_wrong_are_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (users, empty) = (file("users", "ann: t1\n"), file("empty", "ann t1\n"));
    let at = ["--librato", "127.0.0.1:0"];
    for (args, code, part) in [
        (&at[..], 64, "--librato needs --librato-users FILE"),
        (&["--librato-open"], 64, "--librato-open needs --librato"),
        (&["--librato-users", &users], 64, "--librato-users needs --librato"),
        (
            &[&at[..], &["--librato-open", "--librato-users", &users]].concat(),
            64,
            "exclude each other",
        ),
        (&["--librato", "0.0.0.0:0", "--librato-open"], 78, "only on loopback addresses"),
        (
            &["--librato", "0.0.0.0:0", "--librato-open", "--insecure"],
            78,
            "only on loopback addresses",
        ),
        (
            &["--librato", "0.0.0.0:0", "--librato-users", &users],
            78,
            "--librato 0.0.0.0:0 can be reached",
        ),
        (
            &[&at[..], &["--librato-users", "/nowhere"]].concat(),
            78,
            "--librato-users /nowhere: No such file",
        ),
        (&[&at[..], &["--librato-users", &empty]].concat(), 78, "no line defines a user"),
        (&["--librato", &taken, "--librato-open"], 69, "the port is in use"),
        (&["--librato", "8126", "--librato-open"], 64, "expected HOST:PORT"),
        (
            &[&at[..], &["--librato-open", "--librato-level", "zibrato"]].concat(),
            64,
            "zibrato is reserved",
        ),
        (
            &[&at[..], &["--librato-open", "--librato-max-age", "0"]].concat(),
            64,
            "--librato-max-age",
        ),
    ] {
        for check in [&[][..], &["--check"]] {
            let fixed = ["--port", "0", "--http", "off", "--no-journal"];
            let (found, _, stderr) = ended(&[&fixed[..], args, check].concat());
            assert_eq!(found, code, "{args:?}: {stderr}");
            assert!(stderr.contains(part), "{args:?}: {stderr}");
        }
    }
}
