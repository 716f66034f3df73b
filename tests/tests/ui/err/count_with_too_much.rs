fn main() {
    zibrato::count!("info", "logins", 3, 4);
}
