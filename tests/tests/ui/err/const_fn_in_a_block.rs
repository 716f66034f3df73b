use zibrato::count_me;

struct Shop;

#[count_me]
impl Shop {
    const fn left_alone() {}
    #[count_me(level = "debug")]
    const fn asked_for() {}
}

fn main() {}
