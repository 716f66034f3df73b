#[zibrato::count_me(tags(http.status = 1, region = "eu"))]
fn measured() {}

#[zibrato::time_me(tags(region = "eu", http-status = 1))]
fn timed() {}

fn main() {
    let status = 200;
    zibrato::count!("info", "requests", tags(http.status = status));
    zibrato::gauge!("info", "requests", 1, tags(http::type = "get"));
    zibrato::time!("info", "requests", tags(http.status.code = status));
}
