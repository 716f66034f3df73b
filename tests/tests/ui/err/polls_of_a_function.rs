use zibrato::count_me;

#[count_me(polls)]
fn measured() {}

fn main() {}
