fn main() {
    let title = "version 7 is live";
    zibrato::annotate!("info", "deploys", title);
    zibrato::annotate!("info", "deploys", " ");
    zibrato::annotate!("info", "deploys", "two\nlines");
    zibrato::annotate!("info", "deploys", "{title} {}");
    zibrato::annotate!("info", "de|ploys", "live");
    zibrato::annotate!("zb1", "deploys", "live");
    zibrato::annotate!("info", title, "live");
}
