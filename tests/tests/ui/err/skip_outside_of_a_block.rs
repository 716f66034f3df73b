use zibrato::time_me;

struct Shop;

impl Shop {
    #[time_me(skip)]
    fn measured() {}
}

fn main() {}
