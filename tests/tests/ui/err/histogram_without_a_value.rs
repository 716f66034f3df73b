fn main() {
    zibrato::histogram!("info", "response.size", unit = "bytes");
    zibrato::histogram!("info", "response.size", "many");
}
