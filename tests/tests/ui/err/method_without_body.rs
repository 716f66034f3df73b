use zibrato::count_me;

trait Shop {
    #[count_me]
    fn measured(&self);
}

fn main() {}
