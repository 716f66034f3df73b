use zibrato::time_me;

#[time_me(busy)]
fn measured() -> Vec<u8> {
    Vec::new()
}

fn main() {}
