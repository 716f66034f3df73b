#[zibrato::count_me(tags = "eu")]
fn measured() {}

fn main() {}
