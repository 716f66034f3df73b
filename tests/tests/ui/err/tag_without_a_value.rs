#[zibrato::count_me(tags(region))]
fn measured() {}

#[zibrato::count_me(tags(region =, zone = "a"))]
fn measured_too() {}

fn main() {
    zibrato::count!("info", "logins", tags(region = "eu", "zone"));
}
