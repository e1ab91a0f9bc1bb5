//! Writing a view into places of an output that strides describe.

use crate::float::Float;
use crate::kernel::Write;
use crate::kernel::lines::Packed;
use crate::kernel::runs::{Run, Runs};
use crate::tensor::View;
use crate::tensor::layout::Layout;

/// Writes `x[i]` to `out[place of i]` for every index `i` of `x`, where `places` is a layout of the same shape inside `out`
/// that names no element twice.
pub(crate) fn scatter<T: Float>(x: View<'_, T>, places: &Layout, out: &mut [T], write: Write) {
    debug_assert_eq!(x.layout.shape, places.shape);
    let x = Packed::new(x);
    let x = x.as_slice();
    let place = |run: &Run, k: usize| (run.position as isize + k as isize * run.stride) as usize;
    Runs::new(places).each(0, x.len(), |done, run| {
        let x = &x[done..done + run.len];
        match run.stride {
            1 => out[run.position..].iter_mut().zip(x).for_each(|(y, &x)| write.put(y, x)),
            _ => x.iter().enumerate().for_each(|(k, &x)| write.put(&mut out[place(&run, k)], x)),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;
    use crate::tensor::Tensor;

    #[test]
    fn every_element_lands_in_its_place() {
        let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        let whole = Layout::contiguous(Shape::from([2, 5]));
        let mut out = [0.0; 10];
        scatter(x.view(), &whole.slice(1, 1, 4, 2), &mut out, Write::Replace);
        assert_eq!(out, [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 4.0, 0.0]);
        scatter(x.t().unwrap().view(), &whole.slice(1, 1, 3, 1), &mut out, Write::Add);
        assert_eq!(out, [0.0, 2.0, 3.0, 2.0, 0.0, 0.0, 5.0, 4.0, 4.0, 0.0]);
    }
}
