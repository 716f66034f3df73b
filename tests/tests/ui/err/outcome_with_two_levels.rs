use zibrato::count_me;

#[count_me(ok(level = "debug", level = "info"))]
fn measured() -> Result<(), ()> {
    Ok(())
}

fn main() {}
