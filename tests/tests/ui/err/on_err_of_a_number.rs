use zibrato::count_me;

#[count_me(on = "err")]
fn measured() -> Vec<u8> {
    vec![]
}

fn main() {}
