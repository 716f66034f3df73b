use zibrato::count_me;

struct Shop;

#[count_me]
impl Shop {
    fn open() {}

    #[cfg(any())]
    fn of_2018(callback: Box<Fn(u8) -> u8>) {}
}

fn main() {
    Shop::open();
}
