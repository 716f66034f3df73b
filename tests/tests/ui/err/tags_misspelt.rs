#[zibrato::count_me(tag(region = "eu"))]
fn measured() {}

fn main() {
    zibrato::count!("info", "requests", tag(region = "eu"));
    zibrato::gauge!("info", "requests", 1, tag("region" = "eu"));
    zibrato::time!("info", "requests", tag(http.status = 1));
}
