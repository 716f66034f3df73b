use zibrato::{count_me, time_me};

#[count_me(name = format!("shard.{shard}"), outcomes)]
fn outcomes(shard: u8) {}

#[time_me(name = format!("shard.{shard}"), tags(ok = |r| r.is_ok()))]
fn result(shard: u8) -> Result<(), ()> {
    Ok(())
}

fn main() {}
