fn main() {
    zibrato::count!(source = "web", "info", "logins");
}
