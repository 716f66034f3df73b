use zibrato::count_me;

#[count_me(ok(level))]
fn measured() -> Result<(), ()> {
    Ok(())
}

fn main() {}
