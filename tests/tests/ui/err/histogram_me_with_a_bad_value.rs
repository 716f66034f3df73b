use zibrato::histogram_me;

#[histogram_me(name = "none")]
fn without_a_value() {}

#[histogram_me(value = |r| 1)]
fn without_a_result() {}

#[histogram_me(value = |a, b| 1)]
fn of_two() -> u32 {
    1
}

#[histogram_me(value = |r| *r, name = format!("a"))]
fn named() -> u32 {
    1
}

#[histogram_me(value = "three")]
fn of_a_text() -> u32 {
    1
}

#[histogram_me(value = |r| *r, outcomes)]
fn with_outcomes() -> u32 {
    1
}

#[zibrato::count_me(value = |r| *r)]
fn counted() -> u32 {
    1
}

fn main() {}
