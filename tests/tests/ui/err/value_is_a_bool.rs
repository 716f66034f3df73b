use zibrato::count_me;

#[count_me(value = true)]
fn measured() {}

fn main() {}
