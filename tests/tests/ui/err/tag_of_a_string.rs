#[zibrato::count_me(tags(user = user))]
fn measured(user: &String) -> usize {
    user.len()
}

fn main() {
    let user = String::new();
    zibrato::time!("info", "logins", tags(user = user.clone()));
}
