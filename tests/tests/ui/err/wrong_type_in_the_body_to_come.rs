use zibrato::count_me;

#[count_me(on = "err")]
async fn measured(n: u8) -> Option<u8> {
    if n == 3 {
        return n;
    }
    None
}

fn main() {}
