#[zibrato::count_me(on = |r| *r)]
fn measured() -> u8 {
    1
}

fn main() {}
