use zibrato::count_me;

#[count_me(levle = "info")]
fn measured() {}

fn main() {}
