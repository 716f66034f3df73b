fn main() {
    zibrato::gauge!("info", "queue.depth");
}
