fn main() {
    let user = ();
    zibrato::count!("info", &user.name);
}
