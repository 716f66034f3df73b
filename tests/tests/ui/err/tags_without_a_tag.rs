#[zibrato::count_me(tags())]
fn measured() {}

fn main() {
    zibrato::count!("info", "logins", tags());
}
