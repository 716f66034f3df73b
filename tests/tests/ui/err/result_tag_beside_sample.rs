#[zibrato::time_me(sample = 100, tags(length = |r| r.len()))]
fn measured() -> String {
    String::new()
}

fn main() {}
