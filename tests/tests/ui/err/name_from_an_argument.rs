use zibrato::count_me;

#[count_me(name = user)]
fn measured(user: &str) -> usize {
    user.len()
}

fn main() {}
