use zibrato::count_me;

#[count_me(level = "info" name = "a")]
fn measured() {}

fn main() {}
