#[zibrato::count_me(tags("a|b" = "eu"))]
fn measured() {}

fn main() {
    zibrato::count!("info", "logins", tags(region = "e|u"));
}
