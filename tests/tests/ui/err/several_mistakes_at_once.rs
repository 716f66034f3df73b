use zibrato::count_me;

#[count_me(level = "a|b", nmae = "c", value = "3", on = "never")]
fn measured() {}

fn main() {}
