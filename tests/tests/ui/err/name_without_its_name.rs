use zibrato::count_me;

#[count_me("db.query")]
fn measured() {}

fn main() {}
