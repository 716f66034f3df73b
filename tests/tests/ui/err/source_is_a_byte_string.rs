use zibrato::count_me;

#[count_me(source = b"web")]
fn measured() {}

fn main() {}
