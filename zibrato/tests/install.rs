//! One instrument is the program's at a time, from `install` until its guard has shut it down.

use std::time::Duration;
use zibrato::{InstallError, Loss, Zibrato, count};

#[test]
fn an_instrument_that_is_installed_while_another_ends_has_all_its_readings_and_no_others() {
    let site = || count!("info", "shared.site");
    // Nobody listens there, so the end of the first takes as long as it may.
    let deadline = Duration::from_millis(300);
    let builder = Zibrato::builder().port(1).flush_deadline(deadline);
    let first = builder.clone().install().unwrap();
    site();
    let ending = std::thread::Builder::new().spawn(move || first.shutdown()).unwrap();
    let second = loop {
        match builder.clone().install() {
            Ok(guard) => break guard,
            Err(InstallError::AlreadyInstalled) => {}
            Err(error) => panic!("{error}"),
        }
    };
    (0..10).for_each(|_| site());
    let stats = ending.join().unwrap();
    assert_eq!((stats.recorded, &stats.lost), (1, &[(Loss::Deadline, 1)].into()), "{stats:?}");
    assert!(stats.balances(), "{stats:?}");
    site();
    let stats = second.shutdown();
    assert_eq!((stats.recorded, &stats.lost), (11, &[(Loss::Deadline, 11)].into()), "{stats:?}");
    assert!(stats.balances(), "{stats:?}");
}
