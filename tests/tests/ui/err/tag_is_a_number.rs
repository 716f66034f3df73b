#[zibrato::count_me(tags(shard = 3))]
fn measured() {}

#[zibrato::count_me(tags(secure = true))]
fn measured_too() {}

fn main() {}
