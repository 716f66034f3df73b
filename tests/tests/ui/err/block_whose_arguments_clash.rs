use zibrato::time_me;

struct Shop;

#[time_me(sample = 10, slow("1s"))]
impl Shop {
    fn open() {}
    fn close() {}
}

fn main() {}
