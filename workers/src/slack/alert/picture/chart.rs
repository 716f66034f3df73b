//! Draws the curve of an alert as a PNG: the last windows of a series, with its threshold.
//!
//! Pure. Slack shows a picture about 360 pixels wide, so it has twice as many, and large letters.

use super::letters::Letters;
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash,
    Transform,
};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 400;

/// The sizes of letters, in pixels.
const TITLE: f32 = 30.0;
const SMALL: f32 = 24.0;

/// The edges of the plot, in pixels. The left one depends on the labels.
const TOP: f32 = 96.0;
const BOTTOM: f32 = 346.0;
const RIGHT: f32 = 692.0;
const MARGIN: f32 = 28.0;

/// Colours, which can be told apart without seeing red or green, on a white ground in light and dark
/// clients alike.
const GROUND: (u8, u8, u8) = (255, 255, 255);
const FRAME: (u8, u8, u8) = (208, 212, 218);
const GRID: (u8, u8, u8) = (232, 234, 238);
const INK: (u8, u8, u8) = (29, 28, 29);
const PALE_INK: (u8, u8, u8) = (97, 96, 97);
const CURVE: (u8, u8, u8) = (18, 100, 163);
const LIMIT: (u8, u8, u8) = (201, 42, 42);
const BEYOND: (u8, u8, u8) = (253, 236, 236);

/// What a picture shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    /// Oldest first; none for a window without a value.
    pub(super) values: &'a [Option<f64>],
    pub(super) limit: Option<Limit>,
    /// The times at which the first window begins, and the last one ends.
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// Beyond which value the alert begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Limit {
    Above(f64),
    Below(f64),
}

impl Limit {
    const fn value(self) -> f64 {
        match self {
            Self::Above(value) | Self::Below(value) => value,
        }
    }
}

/// From values to pixels.
struct Scale {
    low: f64,
    high: f64,
    left: f32,
    count: usize,
}

impl Scale {
    fn y(&self, value: f64) -> f32 {
        // Halved, so that the difference of large numbers is finite.
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        BOTTOM - (part as f32).clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    fn x(&self, at: usize) -> f32 {
        let (first, last) = (self.left + 14.0, RIGHT - 14.0);
        match self.count {
            0 | 1 => (first + last) / 2.0,
            count => first + (last - first) * at as f32 / (count - 1) as f32,
        }
    }
}

impl Chart<'_> {
    /// The picture as a PNG file. `shown` writes a value with its unit. `None` if there is no memory.
    pub(super) fn png(&self, shown: impl Fn(f64) -> String) -> Option<Vec<u8>> {
        let letters = Letters::new()?;
        let mut canvas = Canvas { pixmap: Pixmap::new(WIDTH, HEIGHT)?, letters };
        canvas.rectangle(0.0, 0.0, WIDTH as f32, HEIGHT as f32, FRAME);
        canvas.rectangle(2.0, 2.0, WIDTH as f32 - 4.0, HEIGHT as f32 - 4.0, GROUND);
        let ticks = self.ticks();
        let labels: Vec<_> = ticks.iter().map(|tick| shown(*tick)).collect();
        let widths = labels.iter().map(|label| canvas.letters.width(label, SMALL));
        let left = MARGIN + widths.fold(0.0, f32::max).min(200.0) + 12.0;
        let (low, high) = self.range(&ticks);
        let scale = Scale { low, high, left, count: self.values.len() };
        self.grounds(&mut canvas, &scale);
        for (tick, label) in ticks.iter().zip(&labels) {
            let y = scale.y(*tick);
            canvas.rectangle(left, y - 1.0, RIGHT - left, 2.0, GRID);
            let x = left - 12.0 - canvas.letters.width(label, SMALL);
            canvas.text(label, x, y + 8.0, SMALL, PALE_INK);
        }
        self.limit_line(&mut canvas, &scale);
        self.curve(&mut canvas, &scale);
        self.words(&mut canvas, left, &shown);
        canvas.pixmap.encode_png().ok()
    }

    fn finite(&self) -> impl Iterator<Item = f64> {
        self.values.iter().flatten().copied().filter(|value| value.is_finite())
    }

    /// The least and the greatest number to show, with room around them.
    fn bounds(&self) -> (f64, f64) {
        let all = || self.finite().chain(self.limit.map(Limit::value));
        let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return (0.0, 1.0);
        }
        let span = high / 2.0 - low / 2.0;
        let room = match span {
            0.0 if low == 0.0 => 1.0,
            0.0 => low.abs() * 0.1,
            span => span * 0.2,
        };
        // A scale that almost begins at zero begins there.
        let floor = if low >= 0.0 && low <= high * 0.5 { 0.0 } else { low - room };
        (floor.max(f64::MIN), (high + room).min(f64::MAX))
    }

    /// Between two and five round numbers.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.bounds();
        let rough = high / 4.0 - low / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (low / step).ceil();
        let all = (0..6).map(|i| (first + f64::from(i)) * step);
        all.take_while(|tick| *tick <= high).filter(|tick| tick.is_finite()).collect()
    }

    fn range(&self, ticks: &[f64]) -> (f64, f64) {
        let (low, high) = self.bounds();
        let low = ticks.first().map_or(low, |tick| low.min(*tick));
        if low < high { (low, high) } else { (low, low + 1.0) }
    }

    /// The area beyond the limit, and the windows without a value at the end.
    fn grounds(&self, canvas: &mut Canvas, scale: &Scale) {
        let width = RIGHT - scale.left;
        match self.limit {
            Some(Limit::Above(limit)) => {
                canvas.rectangle(scale.left, TOP, width, scale.y(limit) - TOP, BEYOND);
            }
            Some(Limit::Below(limit)) => {
                let y = scale.y(limit);
                canvas.rectangle(scale.left, y, width, BOTTOM - y, BEYOND);
            }
            None => {
                let silent = self.values.iter().rev().take_while(|value| value.is_none()).count();
                if silent > 0 {
                    let x = match self.values.len() - silent {
                        0 => scale.left,
                        known => scale.x(known - 1),
                    };
                    canvas.rectangle(x, TOP, RIGHT - x, BOTTOM - TOP, BEYOND);
                }
            }
        }
    }

    fn limit_line(&self, canvas: &mut Canvas, scale: &Scale) {
        let Some(limit) = self.limit else { return };
        let y = scale.y(limit.value());
        let mut line = PathBuilder::new();
        line.move_to(scale.left, y);
        line.line_to(RIGHT, y);
        let dash = StrokeDash::new(vec![14.0, 8.0], 0.0);
        canvas.stroke(line.finish(), 3.0, LIMIT, dash);
    }

    /// The curve, with gaps where there are no values, and a point at its end.
    fn curve(&self, canvas: &mut Canvas, scale: &Scale) {
        let mut line = PathBuilder::new();
        let mut before = false;
        let known = |at: usize| {
            let value = self.values.get(at).copied().flatten();
            value.filter(|value| value.is_finite())
        };
        for at in 0..self.values.len() {
            let Some(value) = known(at) else {
                before = false;
                continue;
            };
            let (x, y) = (scale.x(at), scale.y(value));
            if before {
                line.line_to(x, y);
            } else if at + 1 < self.values.len() && known(at + 1).is_some() {
                line.move_to(x, y);
            } else {
                // A value between two gaps.
                canvas.circle(x, y, 5.0, CURVE);
            }
            before = true;
        }
        canvas.stroke(line.finish(), 5.0, CURVE, None);
        let last = (0..self.values.len()).rev().find_map(|at| Some((at, known(at)?)));
        if let Some((at, value)) = last {
            let (x, y) = (scale.x(at), scale.y(value));
            canvas.circle(x, y, 12.0, GROUND);
            canvas.circle(x, y, 9.0, if self.is_beyond(value) { LIMIT } else { CURVE });
        }
    }

    fn is_beyond(&self, value: f64) -> bool {
        match self.limit {
            Some(Limit::Above(limit)) => value > limit,
            Some(Limit::Below(limit)) => value < limit,
            None => false,
        }
    }

    fn words(&self, canvas: &mut Canvas, left: f32, shown: &impl Fn(f64) -> String) {
        let last = self.values.last().copied().flatten().filter(|value| value.is_finite());
        let now = last.map_or_else(|| "no data".to_owned(), shown);
        let colour = if last.is_none_or(|value| self.is_beyond(value)) { LIMIT } else { CURVE };
        let width = canvas.letters.width(&now, TITLE);
        canvas.text(&now, RIGHT - width, 46.0, TITLE, colour);
        let room = RIGHT - MARGIN - width - 24.0;
        let title = canvas.letters.fitting(self.title, TITLE, room);
        canvas.text(&title, MARGIN, 46.0, TITLE, INK);
        let limit = match self.limit {
            Some(Limit::Above(limit)) => format!("> {}", shown(limit)),
            Some(Limit::Below(limit)) => format!("< {}", shown(limit)),
            None => String::new(),
        };
        let width = canvas.letters.width(&limit, SMALL);
        canvas.text(&limit, RIGHT - width, 80.0, SMALL, LIMIT);
        let room = RIGHT - MARGIN - width - 24.0;
        let subtitle = canvas.letters.fitting(self.subtitle, SMALL, room);
        canvas.text(&subtitle, MARGIN, 80.0, SMALL, PALE_INK);
        canvas.text(self.from, left, 380.0, SMALL, PALE_INK);
        let width = canvas.letters.width(self.to, SMALL);
        canvas.text(self.to, RIGHT - width, 380.0, SMALL, PALE_INK);
    }
}

/// A picture on which is drawn.
struct Canvas {
    pixmap: Pixmap,
    letters: Letters,
}

fn paint((red, green, blue): (u8, u8, u8)) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(Color::from_rgba8(red, green, blue, 255));
    paint.anti_alias = true;
    paint
}

impl Canvas {
    fn rectangle(&mut self, x: f32, y: f32, width: f32, height: f32, colour: (u8, u8, u8)) {
        // An empty one is none.
        if let Some(rectangle) = Rect::from_xywh(x, y, width, height) {
            self.pixmap.fill_rect(rectangle, &paint(colour), Transform::identity(), None);
        }
    }

    fn circle(&mut self, x: f32, y: f32, radius: f32, colour: (u8, u8, u8)) {
        self.fill(PathBuilder::from_circle(x, y, radius), colour);
    }

    fn text(&mut self, text: &str, x: f32, y: f32, size: f32, colour: (u8, u8, u8)) {
        self.fill(self.letters.outline(text, x, y, size), colour);
    }

    fn fill(&mut self, path: Option<Path>, colour: (u8, u8, u8)) {
        if let Some(path) = path {
            let to = Transform::identity();
            self.pixmap.fill_path(&path, &paint(colour), FillRule::Winding, to, None);
        }
    }

    fn stroke(
        &mut self,
        path: Option<Path>,
        width: f32,
        colour: (u8, u8, u8),
        dash: Option<StrokeDash>,
    ) {
        let Some(path) = path else { return };
        let (line_cap, line_join) =
            (if dash.is_some() { LineCap::Butt } else { LineCap::Round }, LineJoin::Round);
        let stroke = Stroke { width, line_cap, line_join, dash, ..Stroke::default() };
        self.pixmap.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), None);
    }
}

#[cfg(test)]
mod tests;
