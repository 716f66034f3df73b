use zibrato::count_me;

#[count_me(on = "sometimes")]
fn measured() -> Option<u8> {
    None
}

fn main() {}
