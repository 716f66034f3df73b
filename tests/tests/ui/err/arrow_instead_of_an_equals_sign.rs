#[zibrato::count_me(level => "info", name = "requests")]
fn measured() {}

fn main() {}
