use zibrato::count_me;

#[count_me(err)]
fn measured() {}

fn main() {}
