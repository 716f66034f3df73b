use zibrato::count_me;

struct Shop;

#[count_me]
impl Shop {
    fn measured() {}
}

fn main() {}
