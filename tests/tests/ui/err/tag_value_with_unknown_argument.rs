#[derive(zibrato::TagValue)]
#[tag(value = "status")]
enum Status {
    #[tag(name = "ok")]
    Ok,
}

fn main() {}
