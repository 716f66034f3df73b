use zibrato::count_me;

#[count_me]
struct Shop;

fn main() {}
