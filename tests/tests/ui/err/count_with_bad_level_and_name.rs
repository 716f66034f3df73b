fn main() {
    zibrato::count!("a|b", "");
}
