use zibrato::time_me;

#[time_me(busy)]
fn measured() -> impl Future<Output = ()> {
    std::future::ready(())
}

fn main() {}
