fn main() {
    zibrato::annotate!("info", "deploys", "live", level = "warn");
    zibrato::annotate!("info", "deploys", "live", link = "a", link = "b");
    zibrato::annotate!("info", "deploys", "live", link = "a", 7);
    zibrato::annotate!("info", "deploys", "live", tags(ok = |r| r.is_ok()));
    zibrato::annotate!("info", "deploys", "live {version}", version = 7);
    zibrato::count!("info", "deploys", description = "live");
}
