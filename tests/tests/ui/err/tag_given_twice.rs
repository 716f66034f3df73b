#[zibrato::time_me(tags(region = "eu", "region" = "us"))]
fn measured() {}

fn main() {}
