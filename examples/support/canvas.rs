//! Smooth lines, discs and letters on a picture. Coordinates are pixels from the top left corner, y down.

use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};
use ttf_parser::{Face, OutlineBuilder};

use super::{INK, Picture, Rgb};

/// Where a text lies relative to the point that places it; its height is always centred there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Align {
    Left,
    #[default]
    Centre,
    Right,
}

/// How a text looks: DejaVu Sans, which ships with the program.
#[derive(Clone, Copy, Debug)]
pub struct Lettering {
    pub size: f32,
    pub bold: bool,
    pub colour: Rgb,
    pub align: Align,
    /// Whether the text reads from bottom to top.
    pub upright: bool,
}

impl Default for Lettering {
    fn default() -> Self {
        Lettering { size: 14.0, bold: false, colour: INK, align: Align::Centre, upright: false }
    }
}

/// A picture while it is drawn.
pub struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    /// An empty canvas; sides are kept between 1 and 16384.
    pub fn new(width: usize, height: usize, background: Rgb) -> Canvas {
        let side = |n: usize| n.clamp(1, 1 << 14) as u32;
        let mut pixmap = Pixmap::new(side(width), side(height)).expect("sides are in the range a pixmap takes");
        pixmap.fill(tiny_skia::Color::from_rgba8(background[0], background[1], background[2], 255));
        Canvas { pixmap }
    }

    pub fn rectangle(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Rgb) {
        if let Some(rectangle) = Rect::from_xywh(x, y, width, height) {
            self.pixmap.fill_rect(rectangle, &paint(colour), Transform::identity(), None);
        }
    }

    pub fn disc(&mut self, centre: (f32, f32), radius: f32, colour: Rgb) {
        if let Some(path) = PathBuilder::from_circle(centre.0, centre.1, radius) {
            self.fill(&path, colour, Transform::identity());
        }
    }

    /// A line through the points, with round corners; a single point is a dot.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, colour: Rgb) {
        let [first, rest @ ..] = points else { return };
        if rest.iter().all(|point| point == first) {
            return self.disc(*first, width / 2.0, colour);
        }
        let mut builder = PathBuilder::new();
        builder.move_to(first.0, first.1);
        rest.iter().for_each(|point| builder.line_to(point.0, point.1));
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        if let Some(path) = builder.finish() {
            self.pixmap.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), None);
        }
    }

    pub fn text(&mut self, text: &str, at: (f32, f32), lettering: &Lettering) {
        let Some(face) = face(lettering) else { return };
        let scale = lettering.size / f32::from(face.units_per_em());
        let left = match lettering.align {
            Align::Left => 0.0,
            Align::Centre => -0.5 * text_width(text, lettering),
            Align::Right => -text_width(text, lettering),
        };
        let middle = 0.5 * capital_height(&face) * scale;
        let turn = if lettering.upright { Transform::from_rotate(-90.0) } else { Transform::identity() };
        let transform = turn.post_translate(at.0, at.1).pre_translate(left, middle).pre_scale(scale, -scale);
        let mut outline = Outline { builder: PathBuilder::new(), pen: 0.0 };
        for letter in text.chars() {
            let glyph = face.glyph_index(letter).unwrap_or_default();
            face.outline_glyph(glyph, &mut outline);
            outline.pen += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
        }
        if let Some(path) = outline.builder.finish() {
            self.fill(&path, lettering.colour, transform);
        }
    }

    /// Stretches `picture` over the rectangle, smoothly.
    pub fn picture(&mut self, picture: &Picture, x: f32, y: f32, width: f32, height: f32) {
        let mut source = Canvas::new(picture.width(), picture.height(), [0; 3]);
        for (to, from) in source.pixmap.data_mut().chunks_exact_mut(4).zip(picture.pixels()) {
            to[..3].copy_from_slice(from);
        }
        let scale = (width / picture.width().max(1) as f32, height / picture.height().max(1) as f32);
        let transform = Transform::from_row(scale.0, 0.0, 0.0, scale.1, x, y);
        let spread = tiny_skia::SpreadMode::Pad;
        let smooth = tiny_skia::FilterQuality::Bilinear;
        let shader = tiny_skia::Pattern::new(source.pixmap.as_ref(), spread, smooth, 1.0, transform);
        if let Some(rectangle) = Rect::from_xywh(x, y, width, height) {
            let paint = Paint { shader, ..Paint::default() };
            self.pixmap.fill_rect(rectangle, &paint, Transform::identity(), None);
        }
    }

    pub fn into_picture(self) -> Picture {
        let (width, height) = (self.pixmap.width() as usize, self.pixmap.height() as usize);
        let data = self.pixmap.data();
        Picture::from_fn(width, height, |x, y| {
            let start = 4 * (y * width + x);
            [data[start], data[start + 1], data[start + 2]]
        })
    }

    fn fill(&mut self, path: &Path, colour: Rgb, transform: Transform) {
        self.pixmap.fill_path(path, &paint(colour), FillRule::Winding, transform, None);
    }
}

/// The width of a text in pixels.
pub fn text_width(text: &str, lettering: &Lettering) -> f32 {
    let Some(face) = face(lettering) else { return 0.0 };
    let advance = |letter| face.glyph_hor_advance(face.glyph_index(letter).unwrap_or_default()).unwrap_or(0);
    let units: f32 = text.chars().map(|letter| f32::from(advance(letter))).sum();
    units * lettering.size / f32::from(face.units_per_em())
}

fn face(lettering: &Lettering) -> Option<Face<'static>> {
    let font = if lettering.bold { dejavu::sans::bold() } else { dejavu::sans::regular() };
    Face::parse(font, 0).ok()
}

/// The height of H in units of the font, measured, since not every font states it.
fn capital_height(face: &Face<'_>) -> f32 {
    let bounds = face.glyph_index('H').and_then(|glyph| face.glyph_bounding_box(glyph));
    bounds.map_or(0.0, |bounds| f32::from(bounds.y_max))
}

fn paint(colour: Rgb) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], 255);
    paint
}

/// Collects the outlines of a line of glyphs in the units of the font.
struct Outline {
    builder: PathBuilder,
    pen: f32,
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.builder.move_to(x + self.pen, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.builder.line_to(x + self.pen, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.builder.quad_to(x1 + self.pen, y1, x + self.pen, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.builder.cubic_to(x1 + self.pen, y1, x2 + self.pen, y2, x + self.pen, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::WHITE;
    use super::*;

    /// Left, top, right and bottom of what is not white.
    fn bounds(picture: &Picture) -> (usize, usize, usize, usize) {
        let width = picture.width();
        let inked =
            || (0..picture.pixels().len()).filter(|i| picture.pixels()[*i] != WHITE).map(|i| (i % width, i / width));
        let columns = (inked().map(|p| p.0).min().unwrap(), inked().map(|p| p.0).max().unwrap());
        let rows = (inked().map(|p| p.1).min().unwrap(), inked().map(|p| p.1).max().unwrap());
        (columns.0, rows.0, columns.1, rows.1)
    }

    fn written(lettering: &Lettering) -> Picture {
        let mut canvas = Canvas::new(200, 200, WHITE);
        canvas.text("Hamburg", (100.0, 100.0), lettering);
        canvas.into_picture()
    }

    #[test]
    fn text_is_as_wide_as_measured_and_lies_where_asked() {
        let lettering = Lettering { size: 20.0, ..Lettering::default() };
        let width = text_width("Hamburg", &lettering);
        let (left, top, right, bottom) = bounds(&written(&lettering));
        assert!(((right - left) as f32 - width).abs() < 6.0, "{left}..{right} against {width}");
        assert!((left + right).abs_diff(200) <= 4 && (91..=94).contains(&top) && (106..=113).contains(&bottom));
        let (left, ..) = bounds(&written(&Lettering { align: Align::Left, ..lettering }));
        assert!((100..=103).contains(&left), "{left}");
        let (_, _, right, _) = bounds(&written(&Lettering { align: Align::Right, ..lettering }));
        assert!((96..=100).contains(&right), "{right}");
    }

    #[test]
    fn upright_text_reads_from_bottom_to_top() {
        let lettering = Lettering { size: 20.0, upright: true, align: Align::Left, ..Lettering::default() };
        let (left, top, right, bottom) = bounds(&written(&lettering));
        assert!((97..=100).contains(&bottom) && top < 40 && right - left < 30, "{left} {top} {right} {bottom}");
    }

    #[test]
    fn the_font_has_the_letters_of_charts() {
        let face = face(&Lettering::default()).unwrap();
        for letter in "aÄé0−×·→²³⁻⁴⁵⁶⁷⁸⁹⁰¹θλ%".chars() {
            assert!(face.glyph_index(letter).is_some(), "{letter}");
        }
    }

    #[test]
    fn lines_and_pictures_cover_what_they_should() {
        let mut canvas = Canvas::new(50, 50, WHITE);
        canvas.line(&[(10.0, 25.0), (40.0, 25.0)], 4.0, INK);
        assert_eq!(bounds(&canvas.into_picture()), (8, 23, 41, 26));
        let mut canvas = Canvas::new(50, 50, WHITE);
        canvas.line(&[(25.0, 25.0)], 6.0, INK);
        canvas.line(&[], 6.0, INK);
        assert_eq!(bounds(&canvas.into_picture()), (22, 22, 27, 27));
        let mut canvas = Canvas::new(50, 50, WHITE);
        canvas.picture(&Picture::new(2, 2, INK), 10.0, 20.0, 30.0, 5.0);
        assert_eq!(bounds(&canvas.into_picture()), (10, 20, 39, 24));
    }

    #[test]
    fn odd_sizes_and_numbers_draw_nothing() {
        let mut canvas = Canvas::new(0, 4, WHITE);
        canvas.rectangle(0.0, 0.0, f32::NAN, 1.0, INK);
        canvas.disc((0.0, 0.0), -1.0, INK);
        canvas.line(&[(f32::NAN, 0.0), (1.0, f32::INFINITY)], 1.0, INK);
        canvas.picture(&Picture::new(0, 0, INK), 0.0, 0.0, 0.0, 0.0);
        assert_eq!(canvas.into_picture().pixels(), &[WHITE; 4]);
    }
}
