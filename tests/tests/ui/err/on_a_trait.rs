use zibrato::count_me;

#[count_me]
trait Shop {
    fn measured() {}
}

fn main() {}
