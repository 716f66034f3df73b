use zibrato::count_me;

#[count_me(on = "err", outcomes)]
fn measured() -> Result<(), ()> {
    Ok(())
}

fn main() {}
