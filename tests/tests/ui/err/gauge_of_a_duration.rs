fn main() {
    let took = std::time::Instant::now().elapsed();
    zibrato::gauge!("info", "took", took);
    zibrato::gauge!("info", "took", took.as_millis());
}
