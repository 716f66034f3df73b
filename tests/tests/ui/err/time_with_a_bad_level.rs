fn main() {
    let rows: u8 = zibrato::time!("in|fo", "db.query", 3);
    let _ = rows;
}
