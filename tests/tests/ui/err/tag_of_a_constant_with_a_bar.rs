const REGION: &str = "e|u";

#[zibrato::count_me(tags(region = REGION))]
fn measured() {}

fn main() {}
