//! Charts of training: curves, points over a decision field, confusion matrices. Each is a struct whose fields say what to
//! show and whose `draw` gives a `Picture`.

// Each example uses its own part of this module.
#![allow(dead_code)]

#[path = "axis.rs"]
mod axis;

use std::ops::Range;

use axis::Axis;
pub use axis::Scale;

use super::picture::canvas::{Align, Canvas, Lettering, text_width};
use super::picture::{INK, MUTED, Picture, Rgb, WHITE, class_colour, lch, mix};

const GRID: Rgb = [229, 231, 235];
const TITLE: Lettering = Lettering { size: 18.0, bold: true, colour: INK, align: Align::Left, upright: false };
const LABEL: Lettering = Lettering { size: 14.0, bold: false, colour: INK, align: Align::Centre, upright: false };
const TICK: Lettering = Lettering { size: 13.0, colour: MUTED, ..LABEL };

/// How the points of a series are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mark {
    #[default]
    Line,
    Dots,
}

/// A labelled curve, or a labelled cloud of points.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub label: String,
    pub points: Vec<(f64, f64)>,
    pub mark: Mark,
}

impl Series {
    /// A curve through `values` at 1, 2, 3, …
    pub fn steps(label: &str, values: impl IntoIterator<Item = f64>) -> Series {
        let points = values.into_iter().enumerate().map(|(i, value)| (i as f64 + 1.0, value)).collect();
        Series { label: label.to_owned(), points, mark: Mark::Line }
    }

    pub fn line(label: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series { label: label.to_owned(), points: points.into_iter().collect(), mark: Mark::Line }
    }

    pub fn dots(label: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series { mark: Mark::Dots, ..Series::line(label, points) }
    }
}

/// Curves over common axes. A value that is not finite interrupts its curve.
#[derive(Clone, Copy, Debug)]
pub struct LineChart<'a> {
    pub title: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    pub y_scale: Scale,
    pub series: &'a [Series],
    /// Width and height in pixels.
    pub size: (usize, usize),
}

impl Default for LineChart<'_> {
    fn default() -> Self {
        LineChart { title: "", x_label: "", y_label: "", y_scale: Scale::Linear, series: &[], size: (960, 600) }
    }
}

impl LineChart<'_> {
    pub fn draw(&self) -> Picture {
        let (x, y) = (Scale::Linear, self.y_scale);
        let shown = |point: &(f64, f64)| Some((x.position(point.0)?, y.position(point.1)?));
        let curves: Vec<Vec<_>> = self.series.iter().map(|series| series.points.iter().map(shown).collect()).collect();
        let points = || curves.iter().flatten().flatten();
        let x_axis = Axis::around(self.x_label, x, points().map(|point| point.0), 0.0);
        let y_axis = Axis::around(self.y_label, y, points().map(|point| point.1), 0.04);
        let legend: Vec<_> = self.series.iter().enumerate().map(|(i, s)| (s.label.as_str(), class_colour(i))).collect();
        let mut plot = Plot::new(self.size, self.title, &legend, x_axis, y_axis);
        plot.axes(true);
        for (i, (curve, series)) in curves.iter().zip(self.series).enumerate() {
            match series.mark {
                Mark::Line => plot.curve(curve, class_colour(i)),
                Mark::Dots => plot.dots(curve, mix(WHITE, class_colour(i), 0.55)),
            }
        }
        plot.canvas.into_picture()
    }
}

/// Points of several classes over a picture that fills the plot, such as a network's output over the plane.
#[derive(Clone, Debug)]
pub struct Scatter<'a> {
    pub title: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    pub x: Range<f64>,
    pub y: Range<f64>,
    /// Stretched over the ranges of x and y; its first row is the largest y.
    pub field: Option<&'a Picture>,
    /// Place and class; those outside the ranges are not drawn.
    pub points: &'a [(f64, f64, usize)],
    /// The names of the classes, for the legend.
    pub classes: &'a [&'a str],
    /// Width and height in pixels.
    pub size: (usize, usize),
}

impl Default for Scatter<'_> {
    fn default() -> Self {
        let (x, y) = (-1.0..1.0, -1.0..1.0);
        let (field, points, classes) = (None, &[][..], &[][..]);
        Scatter { title: "", x_label: "", y_label: "", x, y, field, points, classes, size: (720, 720) }
    }
}

impl Scatter<'_> {
    pub fn draw(&self) -> Picture {
        let legend: Vec<_> = self.classes.iter().enumerate().map(|(i, name)| (*name, class_colour(i))).collect();
        let x = Axis::over(self.x_label, self.x.clone());
        let y = Axis::over(self.y_label, self.y.clone());
        let mut plot = Plot::new(self.size, self.title, &legend, x, y);
        if let Some(field) = self.field {
            plot.canvas.picture(field, plot.left, plot.top, plot.width, plot.height);
        }
        plot.axes(self.field.is_none());
        for (x, y, class) in self.points {
            if plot.x.range.contains(x) && plot.y.range.contains(y) {
                let centre = plot.pixel((*x, *y));
                plot.canvas.disc(centre, 5.0, WHITE);
                plot.canvas.disc(centre, 3.75, class_colour(*class));
            }
        }
        plot.canvas.into_picture()
    }
}

/// The colours of a decision field: the class with the larger probability, paler the less sure.
pub fn decision(class: usize, certainty: f32) -> Rgb {
    mix(WHITE, class_colour(class), 0.06 + 0.40 * certainty.clamp(0.0, 1.0))
}

/// How often each true class (row) was taken for each class (column): right in blue, mistakes in red, each shaded on its own,
/// since mistakes are few and would vanish on a common scale.
#[derive(Clone, Copy, Debug)]
pub struct ConfusionMatrix<'a> {
    pub title: &'a str,
    /// `counts[truth][prediction]`; a missing count is zero.
    pub counts: &'a [Vec<usize>],
    pub classes: &'a [&'a str],
}

impl ConfusionMatrix<'_> {
    pub fn draw(&self) -> Picture {
        const CELL: f32 = 54.0;
        let n = self.classes.len();
        let widest = self.classes.iter().map(|name| text_width(name, &LABEL)).fold(20.0, f32::max);
        let (left, top) = (widest + 56.0, 96.0);
        let side = CELL * n as f32;
        let title = if self.title.is_empty() { 0.0 } else { text_width(self.title, &TITLE) };
        let width = (left + side).max(left + title) + 24.0;
        let mut canvas = Canvas::new(width as usize, (top + side + 24.0) as usize, WHITE);
        canvas.text(self.title, (left, 26.0), &TITLE);
        canvas.text("predicted", (left + side / 2.0, top - 38.0), &TICK);
        canvas.text("true", (22.0, top + side / 2.0), &Lettering { upright: true, ..TICK });
        for (i, name) in self.classes.iter().enumerate() {
            let middle = CELL * (i as f32 + 0.5);
            canvas.text(name, (left + middle, top - 14.0), &LABEL);
            canvas.text(name, (left - 12.0, top + middle), &Lettering { align: Align::Right, ..LABEL });
        }
        for (row, column) in (0..n).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let corner = (left + CELL * column as f32, top + CELL * row as f32);
            self.cell(&mut canvas, (row, column), corner, CELL);
        }
        canvas.into_picture()
    }

    fn cell(&self, canvas: &mut Canvas, (row, column): (usize, usize), corner: (f32, f32), side: f32) {
        let count = self.count(row, column);
        let right = row == column;
        let n = self.classes.len();
        let group = (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| (i == j) == right);
        let most = group.map(|(i, j)| self.count(i, j)).max().unwrap_or(0).max(1);
        let share = count as f32 / most as f32;
        let (lightness, hue) = if right { (0.93 - 0.43 * share, 250.0) } else { (0.94 - 0.34 * share, 32.0) };
        let (text, colour, ink) = match count {
            0 => ("·".to_owned(), [246, 247, 249], mix(WHITE, MUTED, 0.5)),
            _ => (
                count.to_string(),
                lch(lightness, 0.03 + 0.12 * share, hue),
                [INK, WHITE][usize::from(lightness < 0.62)],
            ),
        };
        canvas.rectangle(corner.0 + 1.0, corner.1 + 1.0, side - 2.0, side - 2.0, colour);
        let middle = (corner.0 + side / 2.0, corner.1 + side / 2.0);
        canvas.text(&text, middle, &Lettering { size: 15.0, bold: right, colour: ink, ..LABEL });
    }

    fn count(&self, truth: usize, prediction: usize) -> usize {
        self.counts.get(truth).and_then(|row| row.get(prediction)).copied().unwrap_or(0)
    }
}

/// A canvas with title, legend and two axes around an area for data.
struct Plot<'a> {
    canvas: Canvas,
    x: Axis<'a>,
    y: Axis<'a>,
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

impl<'a> Plot<'a> {
    fn new(size: (usize, usize), title: &str, legend: &[(&str, Rgb)], x: Axis<'a>, y: Axis<'a>) -> Plot<'a> {
        let (full_width, full_height) = (size.0.clamp(200, 8000) as f32, size.1.clamp(160, 8000) as f32);
        let widest = y.ticks.iter().map(|(_, text)| text_width(text, &TICK)).fold(0.0, f32::max);
        let left = 24.0 + widest + if y.label.is_empty() { 0.0 } else { 28.0 };
        let mut canvas = Canvas::new(full_width as usize, full_height as usize, WHITE);
        canvas.text(title, (left, 28.0), &TITLE);
        let below_title = if title.is_empty() { 20.0 } else { 56.0 };
        let top = draw_legend(&mut canvas, legend, (left, below_title), full_width - 24.0);
        let bottom = if x.label.is_empty() { 40.0 } else { 64.0 };
        let (width, height) = ((full_width - left - 28.0).max(1.0), (full_height - top - bottom).max(1.0));
        Plot { canvas, x, y, left, top, width, height }
    }

    fn pixel(&self, (x, y): (f64, f64)) -> (f32, f32) {
        (self.left + self.x.share(x) * self.width, self.top + (1.0 - self.y.share(y)) * self.height)
    }

    fn curve(&mut self, points: &[Option<(f64, f64)>], colour: Rgb) {
        for run in points.split(Option::is_none) {
            let pixels: Vec<_> = run.iter().flatten().map(|point| self.pixel(*point)).collect();
            match pixels[..] {
                [alone] => self.canvas.disc(alone, 3.0, colour),
                _ => self.canvas.line(&pixels, 2.25, colour),
            }
        }
    }

    fn dots(&mut self, points: &[Option<(f64, f64)>], colour: Rgb) {
        for point in points.iter().flatten() {
            let centre = self.pixel(*point);
            self.canvas.disc(centre, 3.0, colour);
        }
    }

    /// Ticks and labels, and with `grid` a line through each tick.
    fn axes(&mut self, grid: bool) {
        let (left, top, right, bottom) = (self.left, self.top, self.left + self.width, self.top + self.height);
        let start = (self.x.range.start, self.y.range.start);
        for (position, text) in std::mem::take(&mut self.y.ticks) {
            // Half a pixel, so that a line one pixel wide covers one row.
            let y = self.pixel((start.0, position)).1.round() + 0.5;
            if grid {
                self.canvas.line(&[(left, y), (right, y)], 1.0, GRID);
            }
            self.canvas.text(&text, (left - 9.0, y), &Lettering { align: Align::Right, ..TICK });
        }
        for (position, text) in std::mem::take(&mut self.x.ticks) {
            let x = self.pixel((position, start.1)).0.round() + 0.5;
            if grid {
                self.canvas.line(&[(x, top), (x, bottom)], 1.0, GRID);
            }
            self.canvas.line(&[(x, bottom), (x, bottom + 5.0)], 1.0, MUTED);
            self.canvas.text(&text, (x, bottom + 17.0), &TICK);
        }
        let (x, y) = (left.round() + 0.5, bottom.round() + 0.5);
        self.canvas.line(&[(x, top), (x, y), (right, y)], 1.0, MUTED);
        self.canvas.text(self.x.label, ((left + right) / 2.0, bottom + 42.0), &LABEL);
        self.canvas.text(self.y.label, (20.0, (top + bottom) / 2.0), &Lettering { upright: true, ..LABEL });
    }
}

/// Draws the entries from left to right, in as many rows as they need, and returns where the data may begin.
fn draw_legend(canvas: &mut Canvas, legend: &[(&str, Rgb)], (left, top): (f32, f32), right: f32) -> f32 {
    let style = Lettering { align: Align::Left, size: 13.0, ..LABEL };
    let mut at = (left, top);
    let mut empty = true;
    for (label, colour) in legend.iter().filter(|(label, _)| !label.is_empty()) {
        let width = 28.0 + text_width(label, &style) + 22.0;
        if at.0 > left && at.0 + width > right {
            at = (left, at.1 + 22.0);
        }
        canvas.line(&[(at.0 + 3.0, at.1), (at.0 + 19.0, at.1)], 5.0, *colour);
        canvas.text(label, (at.0 + 28.0, at.1), &style);
        at.0 += width;
        empty = false;
    }
    if empty { at.1 } else { at.1 + 24.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(picture: &Picture, colour: Rgb) -> usize {
        picture.pixels().iter().filter(|pixel| **pixel == colour).count()
    }

    /// Highest and lowest row that holds the colour.
    fn rows(picture: &Picture, colour: Rgb) -> (usize, usize) {
        let found =
            || (0..picture.pixels().len()).filter(|i| picture.pixels()[*i] == colour).map(|i| i / picture.width());
        (found().min().unwrap(), found().max().unwrap())
    }

    #[test]
    fn a_falling_curve_falls_on_both_scales() {
        for y_scale in [Scale::Linear, Scale::Log] {
            let series = [Series::steps("loss", [1.0, 0.1, 0.01])];
            let chart = LineChart { y_scale, series: &series, size: (400, 300), ..LineChart::default() };
            let picture = chart.draw();
            assert_eq!((picture.width(), picture.height()), (400, 300));
            let middle = (0..300).filter(|y| picture.get(230, *y) == Some(class_colour(0))).min().unwrap();
            let (top, bottom) = rows(&picture, class_colour(0));
            let half = (top + bottom) / 2;
            // Exponential decay: straight on the logarithmic scale, deep in the lower part on the linear one.
            assert!(
                if y_scale == Scale::Log { middle.abs_diff(half) < 40 } else { middle > half + 50 },
                "{middle} {half}"
            );
        }
    }

    #[test]
    fn gaps_and_nothing_at_all_can_be_drawn() {
        let values = [1.0, 2.0, f64::NAN, f64::INFINITY, 2.0, 1.0];
        let full =
            LineChart { series: &[Series::steps("", [1.0, 2.0, 2.0, 2.0, 2.0, 1.0])], ..LineChart::default() }.draw();
        let gap = LineChart { series: &[Series::steps("", values)], ..LineChart::default() }.draw();
        assert!(count(&gap, class_colour(0)) + 400 < count(&full, class_colour(0)));
        LineChart::default().draw();
        let odd = [Series::steps("a", [0.0, -1.0]), Series::steps("b", [1e300]), Series::default()];
        for y_scale in [Scale::Linear, Scale::Log] {
            LineChart { y_scale, series: &odd, size: (0, 0), ..LineChart::default() }.draw();
        }
        Scatter { x: f64::NAN..1.0, y: 2.0..1.0, points: &[(f64::NAN, 0.0, 9)], ..Scatter::default() }.draw();
        ConfusionMatrix { title: "", counts: &[], classes: &[] }.draw();
    }

    #[test]
    fn dots_are_not_joined() {
        let points = [(0.0, 0.0), (1.0, 1.0)];
        let inked = |series: Series| {
            let picture = LineChart { series: &[series], ..LineChart::default() }.draw();
            let is_coloured = |pixel: &&Rgb| pixel[2] > pixel[0].saturating_add(40);
            picture.pixels().iter().filter(is_coloured).count()
        };
        assert!((40..100).contains(&inked(Series::dots("", points))), "{}", inked(Series::dots("", points)));
        assert!(inked(Series::line("", points)) > 1000);
        // A curve of one point is seen, too.
        assert!((20..50).contains(&inked(Series::line("", [points[0]]))), "{}", inked(Series::line("", [points[0]])));
    }

    #[test]
    fn scatter_points_lie_over_the_field_with_y_up() {
        let field = Picture::from_fn(1, 2, |_, y| [[10, 20, 30], [200, 210, 220]][y]);
        let points = [(0.0, 0.5, 0), (0.0, -0.5, 1), (5.0, 0.0, 2)];
        let picture = Scatter { field: Some(&field), points: &points, ..Scatter::default() }.draw();
        assert!(rows(&picture, [10, 20, 30]).0 < rows(&picture, [200, 210, 220]).0);
        assert!(rows(&picture, class_colour(0)).1 < rows(&picture, class_colour(1)).0);
        assert_eq!(count(&picture, class_colour(2)), 0);
    }

    #[test]
    fn confusion_cells_are_blue_when_right_and_red_when_wrong() {
        let counts = [vec![50, 0], vec![4]];
        let picture = ConfusionMatrix { title: "", counts: &counts, classes: &["a", "b"] }.draw();
        let (right, wrong) = (lch(0.5, 0.15, 250.0), lch(0.6, 0.15, 32.0));
        assert!(right[2] > right[0] && wrong[0] > wrong[2]);
        assert!(count(&picture, right) > 1500 && count(&picture, wrong) > 1500);
        assert!(rows(&picture, right).1 < rows(&picture, wrong).0);
    }

    #[test]
    fn a_long_legend_takes_more_rows() {
        let series: Vec<Series> =
            (0..9).map(|i| Series::steps(&format!("a long label number {i}"), [1.0, 2.0])).collect();
        let short = LineChart { series: &series[..1], ..LineChart::default() }.draw();
        let long = LineChart { series: &series, ..LineChart::default() }.draw();
        assert!(rows(&long, GRID).0 >= rows(&short, GRID).0 + 22);
    }
}
