//! Copying the elements of a view in row-major order, the one place where strides turn into memory traffic.

use super::View;
use crate::float::Element;
use crate::kernel::parallel;
use crate::kernel::transpose::transpose;

/// Elements that a thread takes at once.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// Writes the elements of `from` to `into` in row-major order. `into` has exactly as many elements.
pub(crate) fn copy_to<E: Element>(from: View<'_, E>, into: &mut [E]) {
    debug_assert_eq!(into.len(), from.layout.shape.len());
    match from.as_slice() {
        Some(elements) => into.copy_from_slice(elements),
        None => copy_axes(from.data, from.layout.offset as isize, &from.layout.merged(), into),
    }
}

fn copy_axes<E: Element>(data: &[E], start: isize, axes: &[(usize, isize)], into: &mut [E]) {
    match *axes {
        [] => into[0] = data[start as usize],
        [(_, stride)] => copy_run(data, start, stride, into),
        [(rows, 1), (columns, stride @ 1..)] => {
            transpose((&data[start as usize..], stride as usize), (into, columns), (rows, columns));
        }
        [(size, stride), ref inner @ ..] => {
            let (block, work) = (into.len() / size, into.len());
            parallel::pieces(into, block * (ELEMENTS_PER_TASK / block).max(1), work, &|done, piece| {
                for (i, into) in (done / block..).zip(piece.chunks_exact_mut(block)) {
                    copy_axes(data, start + i as isize * stride, inner, into);
                }
            });
        }
    }
}

fn copy_run<E: Element>(data: &[E], start: isize, stride: isize, into: &mut [E]) {
    let first = start as usize;
    match stride {
        1 => into.copy_from_slice(&data[first..first + into.len()]),
        0 => into.fill(data[first]),
        2.. => into.iter_mut().zip(data[first..].iter().step_by(stride as usize)).for_each(|(x, &y)| *x = y),
        _ => {
            let elements = data[..=first].iter().rev().step_by(stride.unsigned_abs());
            into.iter_mut().zip(elements).for_each(|(x, &y)| *x = y);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tensor::Tensor;

    fn by_index(x: &Tensor<usize>) -> Vec<usize> {
        Tensor::from_fn(x.shape(), |index| x.get(index).unwrap()).as_slice().unwrap().to_vec()
    }

    #[test]
    fn every_kind_of_view_is_copied_in_row_major_order() {
        let x = Tensor::from_fn([3, 20, 37], |i| i[0] * 10_000 + i[1] * 100 + i[2]);
        let views = [
            x.clone(),
            x.permute([0, 2, 1]).unwrap(),
            x.permute([2, 1, 0]).unwrap(),
            x.permute([1, 2, 0]).unwrap(),
            x.flip([0, 2]).unwrap(),
            x.slice_step(2, 3..30, 4).unwrap().flip(2).unwrap(),
            x.slice(1, 1..3).unwrap().transpose(0, 1).unwrap(),
            x.index_axis(1, 2).unwrap().t().unwrap(),
            x.index_axis(2, 36).unwrap().t().unwrap().flip(0).unwrap(),
            x.slice(0, 1..2).unwrap().broadcast_to([2, 5, 20, 37]).unwrap(),
            x.index_axis(2, 0).unwrap().unsqueeze(-1).unwrap().broadcast_to([3, 20, 6]).unwrap(),
            x.index_axis(2, 0)
                .unwrap()
                .index_axis(1, 3)
                .unwrap()
                .index_axis(0, 2)
                .unwrap()
                .broadcast_to([2, 2])
                .unwrap(),
            x.slice(0, 1..1).unwrap(),
        ];
        for view in views {
            assert_eq!(view.to_vec(), by_index(&view), "{:?}", view.layout);
            assert!(view.iter().eq(by_index(&view)), "{:?}", view.layout);
        }
    }
}
