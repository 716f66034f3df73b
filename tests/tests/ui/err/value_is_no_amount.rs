use zibrato::count_me;

#[count_me(value = items)]
fn measured(items: Vec<u8>) {}

fn main() {}
