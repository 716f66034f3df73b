use zibrato::{count_me, time_me};

#[time_me(tags(status = |r| r.status()))]
fn returns_nothing() {}

#[count_me(on = |r| r.is_ok())]
fn returns_nothing_either() {}

#[time_me(tags(status = |r| r.status()))]
fn never_returns() -> ! {
    std::process::exit(1)
}

fn main() {}
