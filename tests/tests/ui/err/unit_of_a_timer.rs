#[zibrato::time_me(name = "db.query", unit = "ms")]
fn measured() {}

fn main() {
    let _time = zibrato::time!("info", "db.query", unit = "ms");
    zibrato::count!("info", "sent", 7, unit = "bytes");
}
