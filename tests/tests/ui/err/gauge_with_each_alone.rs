fn main() {
    zibrato::gauge!("info", "queue.depth", 3, each);
    zibrato::gauge!("info", "queue.depth", 3, each = "yes");
}
