use zibrato::time_me;

struct Response {
    headers: Vec<String>,
}

#[time_me(tags(headers = |r| &r.headers))]
fn answer() -> Response {
    Response { headers: vec![] }
}

#[time_me(tags(response = |r| r))]
async fn answer_later() -> Response {
    answer()
}

#[time_me(tags(headers = Response::count))]
fn named() -> Response {
    answer()
}

impl Response {
    fn count(&self) -> usize {
        self.headers.len()
    }
}

fn main() {}
