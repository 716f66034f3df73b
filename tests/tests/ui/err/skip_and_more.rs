use zibrato::{count_me, time_me};

struct Shop;

#[count_me]
#[time_me]
impl Shop {
    #[time_me(skip, level = "debug")]
    fn close() {}
    #[count_me(skip)]
    #[count_me(name = "shop.opened")]
    fn open() {}
}

fn main() {}
