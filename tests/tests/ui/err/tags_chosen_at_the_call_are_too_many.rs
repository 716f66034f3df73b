#[zibrato::count_me(tags(a = a, b = a, c = a, d = a, e = a))]
fn measured(a: bool) -> bool {
    a
}

fn main() {}
