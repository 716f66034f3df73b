use zibrato::time_me;

#[time_me(busy = true)]
async fn measured() {}

fn main() {}
