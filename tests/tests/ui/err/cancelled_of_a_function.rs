use zibrato::count_me;

#[count_me(cancelled(level = "warn"))]
fn measured() {}

fn main() {}
