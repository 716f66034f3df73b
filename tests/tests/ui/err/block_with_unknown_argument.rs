use zibrato::time_me;

struct Shop;

#[time_me(lvl = "debug")]
impl Shop {
    #[time_me(skip)]
    fn left_out() {}
    fn measured() {}
}

fn main() {
    Shop::measured();
}
