use zibrato::count_me;

#[count_me(err)]
async fn measured() -> Vec<u8> {
    vec![]
}

fn main() {}
