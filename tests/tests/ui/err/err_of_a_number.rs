use zibrato::time_me;

#[time_me(err(level = "error"))]
fn measured() -> Vec<u8> {
    vec![]
}

fn main() {}
