use zibrato::count_me;

#[count_me]
unsafe extern "C" {
    fn measured();
}

fn main() {}
