#[derive(zibrato::TagValue)]
struct Method;

fn main() {}
