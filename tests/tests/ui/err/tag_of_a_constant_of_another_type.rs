const RATIO: f64 = 0.5;

struct Version;

const VERSION: Version = Version;

#[zibrato::count_me(tags(ratio = RATIO))]
fn measured() {}

fn main() {
    zibrato::count!("info", "started", tags(version = VERSION));
}
