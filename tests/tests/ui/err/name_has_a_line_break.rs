use zibrato::count_me;

#[count_me(name = "a\nb")]
fn measured() {}

fn main() {}
