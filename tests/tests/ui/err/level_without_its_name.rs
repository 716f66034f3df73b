use zibrato::count_me;

#[count_me("info")]
fn measured() {}

fn main() {}
