use zibrato::time_me;

#[time_me(sample = 10, slow("1s"), outcomes, busy)]
async fn measured() {}

fn main() {}
