fn main() {
    let name = "logins";
    zibrato::count!("info", name);
}
