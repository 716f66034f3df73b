fn main() {
    zibrato::count!("info", "requests", tags(status = |r| r.status()));
    let _time = zibrato::time!("info", "request", tags(status = |r| r.status(), region = "eu"));
}
