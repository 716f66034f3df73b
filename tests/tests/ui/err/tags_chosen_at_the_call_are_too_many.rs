#[zibrato::count_me(tags(a = a, b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a))]
fn measured(a: bool) -> bool {
    a
}

fn main() {}
