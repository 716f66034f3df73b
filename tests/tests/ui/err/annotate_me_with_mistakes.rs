use zibrato::annotate_me;

#[annotate_me]
fn without_a_stream() {}

#[annotate_me(stream = "jobs", title = format!("a"))]
fn with_a_title_at_run_time() {}

#[annotate_me(stream = name)]
fn with_a_stream_at_run_time() {}

#[annotate_me("jobs")]
fn with_a_positional_argument() {}

#[annotate_me(stream = "jobs", name = "job")]
fn with_a_name() {}

#[annotate_me(stream = "jobs", slow("1s"))]
fn with_slow() {}

#[annotate_me(stream = "jobs", tags(ok = |r| *r))]
fn with_a_tag_of_the_result() -> bool {
    true
}

#[annotate_me(stream = "jobs")]
const fn in_the_compiler() {}

#[annotate_me(stream = "jobs")]
struct Job;

fn main() {}
