#[zibrato::count_me(name = "requests", region = "eu")]
fn measured() {}

fn main() {
    zibrato::count!("info", "requests", region = "eu");
}
