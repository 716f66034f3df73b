#[zibrato::histogram_me(value = |r| r.clone())]
fn text() -> String {
    String::new()
}

fn main() {}
