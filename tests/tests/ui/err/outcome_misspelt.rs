use zibrato::count_me;

#[count_me(canceled)]
async fn measured() {}

fn main() {}
