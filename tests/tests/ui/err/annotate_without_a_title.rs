fn main() {
    zibrato::annotate!("info", "deploys");
    zibrato::annotate!("deploys");
    zibrato::annotate!();
}
