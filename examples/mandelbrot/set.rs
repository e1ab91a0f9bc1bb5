//! The set itself: where an orbit escapes, and how far random points are from it.

use autograd::{Result, Tensor};
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// The part of the plane that is learned: real and imaginary parts.
pub const REAL: (f64, f64) = (-2.2, 0.8);
pub const IMAGINARY: (f64, f64) = (-1.3, 1.3);

/// After so many iterations inside, a point counts as a member.
pub const ITERATIONS: u32 = 200;

/// Points of the plane, `[n, 2]`, with what is to be learned of each, `[n, 2]`: the escape value, and 1 inside the set
/// or 0 outside.
pub struct Points {
    pub places: Tensor,
    pub targets: Tensor,
}

impl Points {
    /// Uniformly random points.
    pub fn random(count: usize, rng: &mut impl Rng) -> Points {
        let mut draw = |(low, high): (f64, f64)| rng.random_range(low..high);
        Points::at((0..count).map(|_| (draw(REAL), draw(IMAGINARY))).collect())
    }

    /// The pixels of a picture, row by row from the top.
    pub fn grid(height: usize, width: usize) -> Points {
        let part = |(low, high): (f64, f64), i: usize, n: usize| low + (high - low) * (i as f64 + 0.5) / n as f64;
        let pixel = |i: usize| (part(REAL, i % width, width), part(IMAGINARY, height - 1 - i / width, height));
        Points::at((0..height * width).map(pixel).collect())
    }

    fn at(places: Vec<(f64, f64)>) -> Points {
        let rows: Vec<[[f32; 2]; 2]> = places
            .par_iter()
            .map(|&(x, y)| {
                let value = escape_value(x, y);
                [[x as f32, y as f32], [value.unwrap_or(1.0) as f32, f32::from(u8::from(value.is_none()))]]
            })
            .collect();
        let column = |k: usize| rows.iter().flat_map(|row| row[k]).collect::<Tensor>();
        let matrix = |column: Tensor| column.reshape([places.len(), 2]).unwrap_or_else(|_| Tensor::zeros([0, 2]));
        Points { places: matrix(column(0)), targets: matrix(column(1)) }
    }

    /// Places and targets of a batch.
    pub fn rows(&self, batch: &Tensor<usize>) -> Result<(Tensor, Tensor)> {
        Ok((self.places.index_select(0, batch)?, self.targets.index_select(0, batch)?))
    }

    pub fn len(&self) -> usize {
        self.places.shape()[0]
    }
}

/// How fast the orbit z ← z² + c escapes, from 0 (at once) to 1 (never seen to), smooth in c; `None` for a member.
///
/// ln(1 + μ)/ln(1 + 200) with the continuous iteration count μ = n + 1 − log₂ ln |zₙ|² + log₂ ln R², R the escape radius.
fn escape_value(real: f64, imaginary: f64) -> Option<f64> {
    const RADIUS_SQUARED: f64 = 65_536.0;
    let (mut x, mut y) = (0.0, 0.0);
    for n in 0..ITERATIONS {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > RADIUS_SQUARED {
            let count = f64::from(n) - ((xx + yy).ln() / RADIUS_SQUARED.ln()).log2();
            return Some(count.max(0.0).ln_1p() / f64::from(ITERATIONS).ln_1p());
        }
        (x, y) = (xx - yy + real, 2.0 * x * y + imaginary);
    }
    None
}
