struct Shop;

impl Shop {
    #[zibrato::count_me(on = "err")]
    fn measured() -> std::pin::Pin<Box<dyn Future<Output = u8>>> {
        Box::pin(async move { 1 })
    }
}

fn main() {}
