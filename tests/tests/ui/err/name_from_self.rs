use zibrato::count_me;

struct Shop;

impl Shop {
    const NAME: &str = "shop";
    #[count_me(name = Self::NAME)]
    fn measured() {}
}

fn main() {}
