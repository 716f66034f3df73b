use zibrato::count_me;

#[count_me(colour = "a")]
fn measured() {}

fn main() {}
