use zibrato::count_me;

struct Shop;

#[count_me(on = "err")]
impl Shop {
    fn size() -> usize {
        1
    }
    const fn most() -> Option<usize> {
        None
    }
    fn close() {}
}

fn main() {}
