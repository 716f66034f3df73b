struct Shop;

impl Shop {
    const NAME: &str = "shop";
    #[zibrato::count_me(source = Self::NAME)]
    fn measured() {}
}

fn main() {}
