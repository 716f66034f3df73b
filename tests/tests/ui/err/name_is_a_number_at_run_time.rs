#[zibrato::count_me(name = shard)]
fn measured(shard: u32) -> u32 {
    shard
}

fn main() {}
