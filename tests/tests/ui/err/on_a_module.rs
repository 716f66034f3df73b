use zibrato::count_me;

#[count_me]
mod shop {}

fn main() {}
