#[zibrato::count_me(tags(region = "eu" zone = "a"))]
fn measured() {}

fn main() {}
