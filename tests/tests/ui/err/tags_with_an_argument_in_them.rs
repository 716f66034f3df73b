#[zibrato::count_me(tags(region = "eu", max_series = 50))]
fn measured() {}

fn main() {
    zibrato::gauge!("info", "queue.depth", 3, tags(queue = "in", each = true));
}
