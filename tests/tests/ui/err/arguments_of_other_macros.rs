use zibrato::time_me;

#[time_me(on = "err", value = 3, each = true)]
fn measured() {}

fn main() {
    zibrato::count!("info", "logins", value = 3, sample = 10);
}
