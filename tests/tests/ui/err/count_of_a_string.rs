fn main() {
    zibrato::count!("info", "logins", "3");
}
