use zibrato::time_me;

#[time_me(err = "error")]
fn measured() -> Result<(), ()> {
    Ok(())
}

fn main() {}
