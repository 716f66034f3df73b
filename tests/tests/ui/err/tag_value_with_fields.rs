#[derive(zibrato::TagValue)]
enum Status {
    Ok,
    Code(u16),
    Text { text: String },
}

fn main() {}
