use zibrato::count_me;

#[count_me(on = "err")]
fn measured() -> impl Sized {
    3
}

fn main() {}
