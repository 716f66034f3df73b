use zibrato::count_me;

#[count_me]
fn of_2018(#[cfg(any())] callback: Box<Fn(u8) -> u8>) {}

fn main() {
    of_2018();
}
