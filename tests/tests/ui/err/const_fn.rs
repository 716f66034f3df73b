use zibrato::count_me;

#[count_me]
const fn measured() {}

fn main() {}
