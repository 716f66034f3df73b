use zibrato::count_me;

#[count_me(level = "zb1")]
fn measured() {}

fn main() {}
