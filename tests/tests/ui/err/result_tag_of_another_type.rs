struct Response(u16);

#[zibrato::time_me(tags(status = |r: Response| r.0))]
fn by_value() -> Response {
    Response(200)
}

#[zibrato::time_me(tags(status = |r| r.status()))]
fn missing() -> Response {
    Response(200)
}

fn main() {}
