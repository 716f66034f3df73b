use zibrato::{count_me, time_me};

#[time_me(tags(status = || 200))]
fn none() -> u16 {
    200
}

#[count_me(on = |r, s| r > s)]
fn two() -> u16 {
    200
}

fn main() {}
