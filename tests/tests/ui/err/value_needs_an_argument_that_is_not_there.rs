use zibrato::count_me;

#[count_me(value = items.len())]
fn measured() {}

fn main() {}
