use zibrato::count_me;

#[count_me(on = err)]
fn measured() -> Option<u8> {
    None
}

fn main() {}
