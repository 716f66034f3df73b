fn main() {
    zibrato::count!("info");
}
