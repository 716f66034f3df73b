use zibrato::count_me;

#[count_me(ok(level = "a|b"))]
fn measured() -> Result<(), ()> {
    Ok(())
}

fn main() {}
