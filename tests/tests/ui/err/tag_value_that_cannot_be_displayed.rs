struct User;

#[zibrato::count_me(tags(user = user))]
fn measured(user: &User) {}

fn generic<T: Clone>(value: T) {
    zibrato::gauge!("info", "depth", 1, tags(value = value));
}

fn main() {
    zibrato::time!("info", "logins", tags(user = User, region = "eu"));
    zibrato::count!("info", "logins", tags(ids = vec![1, 2]));
}
