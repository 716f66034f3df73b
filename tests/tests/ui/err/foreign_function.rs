use zibrato::time_me;

unsafe extern "C" {
    #[time_me]
    fn measured();
}

fn main() {}
