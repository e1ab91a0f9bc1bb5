//! Pictures in memory: what the examples look at and write as PNG.
//!
//! A picture is made from a function, grey values or a colour map, put together with `scaled`, `captioned` and `tile`, and
//! written with `save`. Axes, ticks and legends live in `chart`.

// Each example uses its own part of this module.
#![allow(dead_code)]

#[path = "canvas.rs"]
pub mod canvas;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use canvas::{Canvas, Lettering, text_width};

/// Red, green and blue of the sRGB colour space.
pub type Rgb = [u8; 3];

pub const WHITE: Rgb = [255, 255, 255];
pub const INK: Rgb = [38, 42, 51];
pub const MUTED: Rgb = [107, 114, 128];

/// A rectangle of opaque pixels, row by row from the top left.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Rgb>,
}

impl Picture {
    /// One colour everywhere.
    pub fn new(width: usize, height: usize, colour: Rgb) -> Picture {
        Picture { width, height, pixels: vec![colour; width * height] }
    }

    /// The colour of each pixel as a function of its column and row.
    pub fn from_fn(width: usize, height: usize, mut colour: impl FnMut(usize, usize) -> Rgb) -> Picture {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            pixels.extend((0..width).map(|x| colour(x, y)));
        }
        Picture { width, height, pixels }
    }

    /// `values` through a colour map, row by row; missing values read as NaN, which the maps show as grey.
    pub fn heat(values: &[f32], height: usize, width: usize, map: impl Fn(f32) -> Rgb) -> Picture {
        Picture::from_fn(width, height, |x, y| map(values.get(y * width + x).copied().unwrap_or(f32::NAN)))
    }

    /// Values 0 (black) to 1 (white), row by row.
    pub fn grey(values: &[f32], height: usize, width: usize) -> Picture {
        Picture::heat(values, height, width, |value| [byte(value); 3])
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    pub fn pixels(&self) -> &[Rgb] {
        &self.pixels
    }

    /// The colour at column `x` and row `y`, if there is such a pixel.
    pub fn get(&self, x: usize, y: usize) -> Option<Rgb> {
        if x < self.width { self.pixels.get(y * self.width + x).copied() } else { None }
    }

    /// Each pixel as a square of `factor` × `factor`, so that small images stay crisp.
    pub fn scaled(&self, factor: usize) -> Picture {
        let at = |x, y| self.pixels[y / factor * self.width + x / factor];
        Picture::from_fn(self.width * factor, self.height * factor, at)
    }

    /// Draws `other` with its top left corner at (`x`, `y`); what lies outside is cut off.
    pub fn paste(&mut self, other: &Picture, x: usize, y: usize) {
        let columns = other.width.min(self.width.saturating_sub(x));
        for row in 0..other.height.min(self.height.saturating_sub(y)) {
            let (to, from) = ((y + row) * self.width + x, row * other.width);
            self.pixels[to..to + columns].copy_from_slice(&other.pixels[from..from + columns]);
        }
    }

    /// The picture under a line of text; a text that is wider than the picture widens it.
    pub fn captioned(&self, text: &str) -> Picture {
        let lettering = Lettering { size: 14.0, ..Lettering::default() };
        let strip = 24;
        let width = self.width.max(text_width(text, &lettering).ceil() as usize);
        let mut canvas = Canvas::new(width, strip, WHITE);
        canvas.text(text, (width as f32 / 2.0, strip as f32 / 2.0 - 1.0), &lettering);
        let mut out = Picture::new(width, self.height + strip, WHITE);
        out.paste(&canvas.into_picture(), 0, 0);
        out.paste(self, (width - self.width) / 2, strip);
        out
    }

    /// Pictures in rows of `columns`, `gap` white pixels between and around them; sizes may differ.
    pub fn tile(pictures: &[Picture], columns: usize, gap: usize) -> Picture {
        let columns = columns.clamp(1, pictures.len().max(1));
        let rows = pictures.len().div_ceil(columns);
        let (mut widths, mut heights) = (vec![0; columns], vec![0; rows]);
        for (i, picture) in pictures.iter().enumerate() {
            widths[i % columns] = picture.width.max(widths[i % columns]);
            heights[i / columns] = picture.height.max(heights[i / columns]);
        }
        let (lefts, width) = offsets(&widths, gap);
        let (tops, height) = offsets(&heights, gap);
        let mut out = Picture::new(width, height, WHITE);
        for (i, picture) in pictures.iter().enumerate() {
            let (column, row) = (i % columns, i / columns);
            out.paste(picture, lefts[column] + (widths[column] - picture.width) / 2, tops[row]);
        }
        out
    }

    /// Writes the picture as an 8-bit RGB PNG, making missing folders. The file appears whole or not at all: readers that
    /// watch it during training never see half a picture.
    ///
    /// # Errors
    /// What the file system refuses, and a picture without pixels.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let temporary = sibling(path)?;
        let written = self.write_png(&temporary).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // The first error is the one to report, whether or not there was a file to remove.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write_png(&self, path: &Path) -> io::Result<()> {
        let side = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let mut file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(&mut file, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        file.flush()?;
        file.get_ref().sync_all()
    }
}

/// Where each of the lengths begins when laid in a line, and how long the line is.
fn offsets(lengths: &[usize], gap: usize) -> (Vec<usize>, usize) {
    let mut end = gap;
    let starts = lengths.iter().map(|length| (end, end += length + gap).0).collect();
    (starts, end)
}

fn sibling(path: &Path) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path without file name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// What the maps show for NaN: no colour of either map.
const UNKNOWN: Rgb = [150, 150, 150];

/// Dark blue (0) over purple, red and orange to pale yellow (1). Lightness grows evenly, so that equal steps look equal and the
/// order survives printing in grey; hue turns only to tell neighbours apart.
pub fn sequential(value: f32) -> Rgb {
    if value.is_nan() {
        return UNKNOWN;
    }
    let t = value.clamp(0.0, 1.0);
    lch(0.16 + 0.79 * t, 0.075 + 0.02 * t + 0.4 * t * (1.0 - t), 280.0 + 190.0 * t)
}

/// Blue (−1) over near white (0) to red (1), equally dark at equal distance from zero.
pub fn diverging(value: f32) -> Rgb {
    if value.is_nan() {
        return UNKNOWN;
    }
    let t = value.clamp(-1.0, 1.0);
    let strength = t.abs();
    lch(0.97 - 0.47 * strength, 0.165 * strength, if t < 0.0 { 258.0 } else { 28.0 })
}

/// A colour per class or series that also colour-blind readers tell apart: the palette of Okabe and Ito (2002), without
/// its yellow, which is lost on white.
pub fn class_colour(class: usize) -> Rgb {
    const PALETTE: [Rgb; 7] =
        [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [90, 90, 90]];
    PALETTE[class % PALETTE.len()]
}

/// `from` (0) to `to` (1), straight through sRGB.
pub fn mix(from: Rgb, to: Rgb, amount: f32) -> Rgb {
    std::array::from_fn(|i| {
        let (a, b) = (f32::from(from[i]), f32::from(to[i]));
        (a + (b - a) * amount.clamp(0.0, 1.0)).round() as u8
    })
}

/// The colour of a lightness, a chroma and a hue in degrees, in Ottosson's perceptual space OKLab (2020); the chroma gives
/// way where sRGB has no such colour.
pub fn lch(lightness: f32, chroma: f32, hue: f32) -> Rgb {
    let (sin, cos) = hue.to_radians().sin_cos();
    let linear = |chroma: f32| linear_rgb(lightness, chroma * cos, chroma * sin);
    let fits = |chroma: f32| linear(chroma).iter().all(|channel| (-1e-4..=1.0001).contains(channel));
    let (mut low, mut high) = (0.0, chroma.max(0.0));
    if fits(high) {
        low = high;
    }
    // Bisection, so that a map stays smooth where it meets the limits of sRGB.
    while high - low > 1e-4 {
        let middle = 0.5 * (low + high);
        if fits(middle) { low = middle } else { high = middle }
    }
    let rgb = linear(low);
    rgb.map(|channel| byte(srgb_curve(channel)))
}

fn linear_rgb(lightness: f32, a: f32, b: f32) -> [f32; 3] {
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

fn srgb_curve(channel: f32) -> f32 {
    let x = channel.clamp(0.0, 1.0);
    if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, of which perceived lightness is about the cube root.
    fn lightness(rgb: Rgb) -> f32 {
        let linear = rgb.map(|c| (f32::from(c) / 255.0 + 0.055).max(0.055) / 1.055).map(|c| c.powf(2.4));
        (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]).cbrt()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("picture-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn decoded(path: &Path) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(io::BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        (info.width, info.height, bytes)
    }

    #[test]
    fn a_saved_picture_reads_back_and_leaves_nothing_else() {
        let folder = folder("save");
        let path = folder.join("new/picture.png");
        let picture = Picture::from_fn(5, 3, |x, y| [x as u8 * 40, y as u8 * 90, 7]);
        picture.save(&path).unwrap();
        picture.scaled(1).save(&path).unwrap();
        assert_eq!(decoded(&path), (5, 3, picture.pixels().as_flattened().to_vec()));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_failed_save_keeps_the_old_file() {
        let folder = folder("fail");
        let path = folder.join("picture.png");
        Picture::new(2, 2, INK).save(&path).unwrap();
        assert!(Picture::new(0, 4, INK).save(&path).is_err());
        assert_eq!(decoded(&path).0, 2);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(Picture::new(1, 1, INK).save(folder.join("..")).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn scaling_repeats_pixels() {
        let picture = Picture::grey(&[0.0, 1.0], 1, 2).scaled(3);
        assert_eq!((picture.width(), picture.height()), (6, 3));
        assert_eq!((picture.get(2, 2), picture.get(3, 0)), (Some([0; 3]), Some(WHITE)));
        assert_eq!((picture.get(6, 0), picture.get(0, 3)), (None, None));
        assert_eq!(picture.scaled(0).pixels(), &[] as &[Rgb]);
    }

    #[test]
    fn tiles_of_different_sizes_keep_their_gaps() {
        let tiles = [Picture::new(4, 2, INK), Picture::new(2, 6, INK), Picture::new(2, 2, INK)];
        let picture = Picture::tile(&tiles, 2, 1);
        assert_eq!((picture.width(), picture.height()), (1 + 4 + 1 + 2 + 1, 1 + 6 + 1 + 2 + 1));
        let dark = picture.pixels().iter().filter(|pixel| **pixel == INK).count();
        assert_eq!(dark, 4 * 2 + 2 * 6 + 2 * 2);
        assert_eq!((picture.get(6, 6), picture.get(2, 8), picture.get(1, 8)), (Some(INK), Some(INK), Some(WHITE)));
        assert_eq!(Picture::tile(&[], 0, 2).height(), 2);
    }

    #[test]
    fn pasting_cuts_at_the_border() {
        let mut picture = Picture::new(3, 3, WHITE);
        picture.paste(&Picture::new(5, 5, INK), 1, 2);
        picture.paste(&Picture::new(5, 5, INK), 9, 9);
        assert_eq!(picture.pixels().iter().filter(|pixel| **pixel == INK).count(), 2);
    }

    #[test]
    fn a_caption_is_above_and_widens_a_narrow_picture() {
        let picture = Picture::new(8, 8, [200, 0, 0]).captioned("a long caption");
        assert!(picture.width() > 60 && picture.height() > 20);
        let bottom = &picture.pixels()[picture.width() * (picture.height() - 8)..];
        assert_eq!(bottom.iter().filter(|pixel| **pixel == [200, 0, 0]).count(), 64);
        let top = &picture.pixels()[..picture.width() * (picture.height() - 8)];
        assert!(top.iter().filter(|pixel| pixel[0] < 100).count() > 30);
    }

    #[test]
    fn the_sequential_map_grows_evenly_lighter() {
        let steps: Vec<f32> = (0..=20).map(|i| lightness(sequential(i as f32 / 20.0))).collect();
        for pair in steps.windows(2) {
            let rise = pair[1] - pair[0];
            assert!((0.015..0.075).contains(&rise), "{rise} in {steps:?}");
        }
        assert_eq!((sequential(-3.0), sequential(f32::INFINITY)), (sequential(0.0), sequential(1.0)));
        assert_eq!(sequential(f32::NAN), UNKNOWN);
    }

    #[test]
    fn the_diverging_map_is_equally_dark_on_both_sides() {
        for i in 0..=10 {
            let t = i as f32 / 10.0;
            let gap = lightness(diverging(t)) - lightness(diverging(-t));
            assert!(gap.abs() < 0.06, "{t}: {gap}");
        }
        let (cold, warm) = (diverging(-1.0), diverging(1.0));
        assert!(cold[2] > cold[0] && warm[0] > warm[2]);
        assert_eq!(diverging(f32::NAN), UNKNOWN);
    }

    #[test]
    fn the_maps_have_no_edges() {
        let step = |a: Rgb, b: Rgb| (0..3).map(|i| a[i].abs_diff(b[i])).max().unwrap();
        for i in 0..1000 {
            let (t, next) = (i as f32 / 1000.0, (i + 1) as f32 / 1000.0);
            assert!(step(sequential(t), sequential(next)) <= 2, "sequential at {t}");
            assert!(step(diverging(2.0 * t - 1.0), diverging(2.0 * next - 1.0)) <= 2, "diverging at {t}");
        }
    }

    #[test]
    fn lch_meets_known_colours() {
        assert_eq!((lch(0.0, 0.0, 0.0), lch(1.0, 0.0, 0.0)), ([0; 3], WHITE));
        // sRGB red is L = 0.62796, C = 0.25768, h = 29.234° in OKLCh.
        let red = lch(0.62796, 0.25768, 29.234);
        assert!(red[0] >= 254 && red[1] <= 6 && red[2] <= 6, "{red:?}");
    }

    #[test]
    fn missing_values_are_shown_as_unknown() {
        assert_eq!(Picture::heat(&[1.0], 1, 2, sequential).pixels(), &[sequential(1.0), UNKNOWN]);
    }
}
