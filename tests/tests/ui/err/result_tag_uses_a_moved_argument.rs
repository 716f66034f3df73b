#[zibrato::time_me(tags(tenant = |_| tenant.len()))]
fn measured(tenant: String) -> usize {
    drop(tenant);
    1
}

#[zibrato::time_me(tags(tenant = |_| tenant.len()))]
async fn measured_later(tenant: String) -> usize {
    drop(tenant);
    1
}

fn main() {}
