fn main() {
    zibrato::count!();
}
