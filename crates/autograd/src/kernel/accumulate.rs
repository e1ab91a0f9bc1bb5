//! Adding a view to what is there.

use crate::float::Float;
use crate::kernel::parallel;
use crate::kernel::runs::Runs;
use crate::kernel::vectorized::vectorized;
use crate::tensor::View;

/// Elements that a thread takes at once.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// `out += x`.
pub(crate) fn accumulate<T: Float>(x: View<'_, T>, out: &mut [T]) {
    debug_assert_eq!(x.layout.shape.len(), out.len());
    let work = out.len();
    if let Some(x) = x.as_slice() {
        return parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, piece| {
            vectorized!(piece.iter_mut().zip(&x[start..]).for_each(|(y, &x)| *y += x));
        });
    }
    let runs = Runs::new(x.layout);
    parallel::pieces(out, ELEMENTS_PER_TASK, work, &|start, piece| {
        vectorized!({
            runs.each(start, piece.len(), |done, run| {
                let part = &mut piece[done..done + run.len];
                match run.stride {
                    1 => part.iter_mut().zip(&x.data[run.position..]).for_each(|(y, &x)| *y += x),
                    0 => part.iter_mut().for_each(|y| *y += x.data[run.position]),
                    _ => run.each(x.data, part, |y, x| *y += x),
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples::{SHAPES, samples};

    #[test]
    fn every_element_is_added_in_its_place() {
        for shape in SHAPES {
            for x in samples::<f64>(shape, 1) {
                let mut out: Vec<f64> = (0..x.layout.shape.len()).map(|k| k as f64).collect();
                accumulate(x.view(), &mut out);
                let sums = x.elements().into_iter().enumerate().map(|(k, x)| k as f64 + x);
                assert!(out.iter().copied().eq(sums), "{:?}", x.layout);
            }
        }
    }
}
