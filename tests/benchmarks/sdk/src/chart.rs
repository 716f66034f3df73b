//! The bar chart: one group of bars per row, on a logarithmic scale.

use crate::table::{Row, number};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
/// The start of the bars; names are to the left of it.
const LEFT: f64 = 250.0;
/// The end of the scale; numbers of the longest bars are to the right of it.
const RIGHT: f64 = 860.0;
const TOP: f64 = 62.0;
const BAR: f64 = 16.0;
const PITCH: f64 = 20.0;
/// The gap between two rows, for the heading of the next one.
const GAP: f64 = 34.0;
/// The space below the rows of one unit, for the numbers of its scale.
const AXIS: f64 = 44.0;

const OURS: &str = "#c2410c";
const FLOOR: &str = "#9ca3af";
const PEER: &str = "#3b82c4";

/// The decades that the scale shows, as powers of ten.
struct Scale {
    first: i32,
    last: i32,
}

impl Scale {
    fn of(rows: &[Row]) -> Self {
        let all = rows
            .iter()
            .flat_map(|row| row.peers.iter().map(|(_, ns)| *ns).chain([row.ours, row.floor.1]));
        let (least, most) = all
            .filter(|v| *v > 0.0)
            .fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), ns| (ns.min(low), ns.max(high)));
        Self { first: least.log10().floor() as i32, last: most.log10().ceil() as i32 }
    }

    fn x(&self, ns: f64) -> f64 {
        let part = (ns.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

pub fn svg(rows: &[Row]) -> String {
    let groups = rows.chunk_by(|one, next| one.unit == next.unit).count();
    let bars: usize = rows.iter().map(|row| row.peers.len() + 2).sum();
    let height = TOP + groups as f64 * AXIS + rows.len() as f64 * GAP + bars as f64 * PITCH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" \
         font-size=\"12\" fill=\"#1f2937\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"17\" font-weight=\"bold\">\
         Cost of one measurement</text>\n\
         <text x=\"16\" y=\"46\" fill=\"#6b7280\">logarithmic scales; shorter is better, \
         except for 1/s</text>\n"
    );
    legend(&mut svg);
    let mut y = TOP;
    for rows in rows.chunk_by(|one, next| one.unit == next.unit) {
        y = group(&mut svg, y, rows);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws the rows of one unit, which have their own scale; returns where they end.
fn group(svg: &mut String, top: f64, rows: &[Row]) -> f64 {
    let scale = Scale::of(rows);
    let bars: usize = rows.iter().map(|row| row.peers.len() + 2).sum();
    let bottom = top + rows.len() as f64 * GAP + bars as f64 * PITCH;
    for power in scale.first..=scale.last {
        let x = scale.x(10_f64.powi(power));
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" stroke=\"#e5e7eb\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#6b7280\">{}</text>",
            top + 8.0,
            bottom + 16.0,
            number(10_f64.powi(power)),
        );
    }
    let mut y = top;
    for row in rows {
        y += GAP;
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{:.1}\" font-size=\"14\" font-weight=\"bold\">{}, {}</text>",
            y - 8.0,
            row.name,
            row.unit
        );
        let floor = (format!("floor: {}", row.floor.0), row.floor.1, FLOOR);
        let peers = row.peers.iter().map(|(name, value)| ((*name).to_owned(), *value, PEER));
        for (name, value, colour) in
            [floor, ("zibrato".to_owned(), row.ours, OURS)].into_iter().chain(peers)
        {
            bar(svg, &scale, y, &name, value, colour);
            y += PITCH;
        }
    }
    bottom + AXIS
}

fn bar(svg: &mut String, scale: &Scale, y: f64, name: &str, ns: f64, colour: &str) {
    let (end, text) = (scale.x(ns), y + BAR - 4.0);
    let weight = if colour == OURS { "bold" } else { "normal" };
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\" font-weight=\"{weight}\">{name}</text>\
         <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{text:.1}\" font-weight=\"{weight}\">{}</text>",
        LEFT - 8.0,
        (end - LEFT).max(1.0),
        end + 6.0,
        number(ns)
    );
}

fn legend(svg: &mut String) {
    for (at, (colour, name)) in
        [(OURS, "zibrato"), (FLOOR, "lowest possible cost"), (PEER, "peers")].iter().enumerate()
    {
        let x = 520.0 + [0.0, 90.0, 270.0][at];
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"16\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"26\">{name}</text>",
            x + 18.0
        );
    }
}
