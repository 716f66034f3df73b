use zibrato::count_me;

const NAME: &str = "shop";

struct Shop;

#[count_me(name = NAME)]
impl Shop {
    #[count_me(skip)]
    fn left_out() {}
    fn measured() {}
}

fn main() {}
