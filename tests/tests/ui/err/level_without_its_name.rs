use zibrato::count_me;

#[count_me("info")]
fn measured() {}

#[zibrato::time_me("logins")]
fn timed() {}

fn main() {}
