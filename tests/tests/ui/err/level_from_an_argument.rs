#[zibrato::count_me(level = level)]
fn measured(level: &str) -> usize {
    level.len()
}

fn main() {
    let level = String::from("info");
    zibrato::count!(format!("{level}"), "logins");
}
