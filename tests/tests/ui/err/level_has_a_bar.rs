use zibrato::count_me;

#[count_me(level = "info|warn")]
fn measured() {}

fn main() {}
