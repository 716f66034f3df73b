use zibrato::annotate_me;

#[annotate_me(stream = "jobs", title = "to version {missing}")]
fn migrate(version: u32) -> u32 {
    version
}

fn main() {
    migrate(1);
}
