#[zibrato::count_me(tags(shard = 3))]
fn measured() {}

fn main() {}
