//! The sizes of planes and of windows on them.

use crate::error::ErrorKind;
use crate::kernel::pool::Window;
use crate::shape::Shape;

/// Height and width: the last two axes.
pub(super) fn plane(shape: &Shape) -> [usize; 2] {
    let rank = shape.rank();
    [shape[rank - 2], shape[rank - 1]]
}

pub(super) fn with_plane(shape: &Shape, plane: [usize; 2]) -> Shape {
    shape[..shape.rank() - 2].iter().copied().chain(plane).collect()
}

/// How many windows there are along the axes of a plane.
pub(super) fn output(window: &Window, size: [usize; 2]) -> Result<[usize; 2], ErrorKind> {
    check_window(window)?;
    window.output(size).ok_or_else(|| ErrorKind::Window {
        window: window.size.into(),
        dilation: window.dilation.into(),
        input: [0, 1].map(|axis| size[axis].saturating_add(window.padding[axis].saturating_mul(2))).into(),
    })
}

fn check_window(window: &Window) -> Result<(), ErrorKind> {
    for (name, steps) in [("stride", window.stride), ("dilation", window.dilation), ("window", window.size)] {
        if steps.contains(&0) {
            return Err(ErrorKind::Argument { name, must: "at least 1", found: format!("{steps:?}") });
        }
    }
    let reach = |axis: usize| (window.size[axis] - 1).saturating_mul(window.dilation[axis]).saturating_add(1);
    if (0..2).any(|axis| window.padding[axis] > reach(axis) / 2) {
        let found = format!("{:?}", window.padding);
        return Err(ErrorKind::Argument { name: "padding", must: "at most half the window", found });
    }
    Ok(())
}

/// Height and width of an input that windows move over along the last one or two axes.
pub(super) fn as_planes(shape: &Shape, axes: usize) -> Result<[usize; 2], ErrorKind> {
    match (&shape[..], axes) {
        ([.., height, width], 2) => Ok([*height, *width]),
        ([.., width], 1) => Ok([1, *width]),
        _ => Err(ErrorKind::MinRank { what: "the input", least: axes, found: shape.clone() }),
    }
}

/// Parts of an axis are at least one, and none is empty.
pub(super) fn check_parts(shape: &Shape, parts: [usize; 2], axes: usize) -> Result<(), ErrorKind> {
    let plane = as_planes(shape, axes)?;
    if parts.contains(&0) {
        let found = format!("{:?}", &parts[2 - axes..]);
        return Err(ErrorKind::Argument { name: "size", must: "at least 1", found });
    }
    if plane.contains(&0) { Err(ErrorKind::Empty { shape: shape.clone() }) } else { Ok(()) }
}
