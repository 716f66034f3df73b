//! The bar chart: each row beside its reference, relative to the longer one.

use crate::{Row, number};
use std::fmt::Write;

const LEFT: f64 = 330.0;
const LONGEST: f64 = 480.0;
const PITCH: f64 = 58.0;
const OURS: &str = "#c2410c";
const FLOOR: &str = "#9ca3af";

pub fn svg(title: &str, rows: &[Row]) -> String {
    let height = 50.0 + rows.len() as f64 * PITCH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 {height}\" width=\"960\" \
         height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" \
         fill=\"#1f2937\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"17\" font-weight=\"bold\">{title}</text>\n"
    );
    for (row, y) in rows.iter().zip((0..).map(|n| 50.0 + f64::from(n) * PITCH)) {
        let most = row.ours.max(row.floor.1).max(f64::MIN_POSITIVE);
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{:.1}\" font-size=\"14\" font-weight=\"bold\">{}, {}</text>",
            y + 8.0,
            row.name,
            row.unit
        );
        for (name, value, colour, y) in
            [("zibrato", row.ours, OURS, y + 14.0), (row.floor.0, row.floor.1, FLOOR, y + 32.0)]
        {
            let width = (value / most * LONGEST).max(1.0);
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\
                 <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"15\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 12.0,
                LEFT + width + 6.0,
                y + 12.0,
                number(value)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
