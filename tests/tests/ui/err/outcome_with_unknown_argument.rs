use zibrato::count_me;

#[count_me(err(name = "failed"))]
fn measured() -> Result<(), ()> {
    Ok(())
}

fn main() {}
