//! Letters, as outlines of a font that is part of the program: a server has no fonts.
//!
//! Pure. `DejaVuSans.ttf` is DejaVu Sans with the letters of Latin, Greek and Cyrillic; for other ones
//! there is a box. Its licence is beside it.

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

const FONT: &[u8] = include_bytes!("DejaVuSans.ttf");

/// The font.
pub(super) struct Letters(Face<'static>);

impl Letters {
    /// `None` if the font could not be read, which a test rules out.
    pub(super) fn new() -> Option<Self> {
        Face::parse(FONT, 0).ok().map(Self)
    }

    /// A letter. One that the font lacks is the first, a box.
    fn glyph(&self, letter: char) -> GlyphId {
        self.0.glyph_index(letter).unwrap_or_default()
    }

    fn scale(&self, size: f32) -> f32 {
        size / f32::from(self.0.units_per_em().max(1))
    }

    fn advance(&self, letter: char) -> f32 {
        f32::from(self.0.glyph_hor_advance(self.glyph(letter)).unwrap_or_default())
    }

    /// The width of a text, in pixels.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|letter| self.advance(letter)).sum::<f32>() * self.scale(size)
    }

    /// The text, or its beginning and end with … between them, so that it is not wider than `room`.
    pub(super) fn fitting(&self, text: &str, size: f32, room: f32) -> String {
        if self.width(text, size) <= room {
            return text.to_owned();
        }
        let letters: Vec<char> = text.chars().collect();
        let shortened = |kept: usize| -> String {
            let (head, tail) = (kept.div_ceil(2), kept / 2);
            let head = letters.iter().take(head);
            let tail = letters.iter().skip(letters.len().saturating_sub(tail));
            head.chain(&['…']).chain(tail).collect()
        };
        let most = letters.len().min(200);
        let fits = (1..most).rev().map(shortened).find(|text| self.width(text, size) <= room);
        fits.unwrap_or_default()
    }

    /// The outline of a text whose base line begins at a point.
    pub(super) fn outline(&self, text: &str, x: f32, y: f32, size: f32) -> Option<Path> {
        let scale = self.scale(size);
        let mut pen = Pen { path: PathBuilder::new(), x, y, scale };
        for letter in text.chars() {
            // A blank has no outline.
            self.0.outline_glyph(self.glyph(letter), &mut pen);
            pen.x += self.advance(letter) * scale;
        }
        pen.path.finish()
    }
}

/// Draws outlines at a place.
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
