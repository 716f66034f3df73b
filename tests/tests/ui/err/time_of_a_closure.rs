fn main() {
    zibrato::time!("info", "work", || 1 + 1);
}
