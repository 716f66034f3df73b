use zibrato::count_me;

const LEVEL: &str = "info|warn";

#[count_me(level = LEVEL)]
fn measured() {}

fn main() {}
