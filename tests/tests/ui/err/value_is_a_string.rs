use zibrato::count_me;

#[count_me(value = "3")]
fn measured() {}

fn main() {}
