#[derive(zibrato::TagValue)]
enum Status {
    Ok,
    #[tag(value = "ok")]
    Fine,
    #[tag(value = "a|b")]
    Bad,
}

fn main() {}
