use zibrato::count_me;

#[count_me(source = "web|1")]
fn measured() {}

fn main() {}
