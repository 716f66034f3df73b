#[derive(zibrato::TagValue)]
enum Status {
    #[tag("5xx")]
    ServerError,
    #[tag = "4xx"]
    ClientError,
    #[tag]
    Other,
}

fn main() {}
