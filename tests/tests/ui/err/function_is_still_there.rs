use zibrato::count_me;

#[count_me(levle = "info")]
fn measured() -> u8 {
    3
}

fn main() {
    let _: u8 = measured();
}
