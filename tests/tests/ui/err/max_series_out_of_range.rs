#[zibrato::count_me(tags(user = user), max_series = 0)]
fn measured(user: &str) {}

#[zibrato::count_me(tags(user = user), max_series = "many")]
fn measured_too(user: &str) {}

fn main() {
    zibrato::count!("info", "logins", tags(user = 3), max_series = 100_001);
}
