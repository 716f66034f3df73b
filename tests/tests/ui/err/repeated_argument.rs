use zibrato::count_me;

#[count_me(level = "info", name = "a", level = "warn")]
fn measured() {}

fn main() {}
