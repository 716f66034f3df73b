use zibrato::count_me;

#[count_me(level = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn")]
fn measured() {}

fn main() {}
