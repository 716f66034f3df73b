use zibrato::count_me;

#[count_me]
pub enum Shop {}

fn main() {}
