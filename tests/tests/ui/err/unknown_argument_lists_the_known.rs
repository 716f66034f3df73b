use zibrato::count_me;

#[count_me(tags = "a")]
fn measured() {}

fn main() {}
