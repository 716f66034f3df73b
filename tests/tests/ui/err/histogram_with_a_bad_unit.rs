const UNIT: &str = "a unit of more than thirty-two bytes";

fn main() {
    zibrato::histogram!("info", "response.size", 3, unit = "bytes|s");
    zibrato::histogram!("info", "response.size", 3, unit = "a unit of more than thirty-two bytes");
    zibrato::histogram!("info", "response.size", 3, unit = 5);
    zibrato::histogram!("info", "response.size", 3, unit = format!("bytes"));
    zibrato::histogram!("info", "response.size", 3, unit);
    zibrato::gauge!("info", "response.size", 3, unit = "bytes");
}

fn of_a_constant() {
    zibrato::histogram!("info", "response.size", 3, unit = UNIT);
}
