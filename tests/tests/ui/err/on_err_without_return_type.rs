use zibrato::count_me;

#[count_me(on = "err")]
fn measured() {}

fn main() {}
