use zibrato::count_me;

#[count_me(on = "ok")]
fn measured() -> ! {
    loop {}
}

fn main() {}
