//! A method that plain tensors and handles on a tape both have does the same for both, errors included.

use std::ops::{Add, Div, Mul, Sub};

use autograd::{Indices, Mask, Result, Scalar, Shape, SortOrder, Tape, Tensor, Var};

/// What a method returns, as a tensor or an error.
trait Outcome {
    fn outcome(self) -> Result<Tensor<f64>>;
}

impl Outcome for f64 {
    fn outcome(self) -> Result<Tensor<f64>> {
        Ok(Tensor::scalar(self))
    }
}

impl Outcome for usize {
    fn outcome(self) -> Result<Tensor<f64>> {
        Ok(Tensor::scalar(self as f64))
    }
}

impl Outcome for Tensor<f64> {
    fn outcome(self) -> Result<Tensor<f64>> {
        Ok(self)
    }
}

impl Outcome for Tensor<usize> {
    fn outcome(self) -> Result<Tensor<f64>> {
        let numbers = self.iter().map(|x| x as f64).collect();
        Tensor::from_vec(self.shape(), numbers)
    }
}

impl Outcome for Indices<'_, f64> {
    fn outcome(self) -> Result<Tensor<f64>> {
        self.value()?.outcome()
    }
}

/// The pieces one below the other, so that their number counts too.
impl Outcome for Vec<Tensor<f64>> {
    fn outcome(self) -> Result<Tensor<f64>> {
        let numbers = self.iter().flat_map(Tensor::to_vec);
        let sizes = self.iter().flat_map(|piece| piece.shape().to_vec()).map(|size| size as f64);
        Ok(sizes.chain([self.len() as f64]).chain(numbers).collect())
    }
}

impl Outcome for Var<'_, f64> {
    fn outcome(self) -> Result<Tensor<f64>> {
        self.value()
    }
}

impl Outcome for Scalar<'_, f64> {
    fn outcome(self) -> Result<Tensor<f64>> {
        self.value().map(Tensor::scalar)
    }
}

impl Outcome for Vec<Var<'_, f64>> {
    fn outcome(self) -> Result<Tensor<f64>> {
        self.into_iter().map(Var::value).collect::<Result<Vec<_>>>()?.outcome()
    }
}

impl Outcome for Tensor<bool> {
    fn outcome(self) -> Result<Tensor<f64>> {
        Ok(self.map(|holds| f64::from(u8::from(holds))))
    }
}

impl Outcome for Mask<'_, f64> {
    fn outcome(self) -> Result<Tensor<f64>> {
        self.value().outcome()
    }
}

impl<X: Outcome> Outcome for Result<X> {
    fn outcome(self) -> Result<Tensor<f64>> {
        self.and_then(X::outcome)
    }
}

fn assert_same(call: &str, shape: &Shape, plain: impl Outcome, handle: impl Outcome) {
    match (plain.outcome(), handle.outcome()) {
        (Ok(plain), Ok(handle)) => {
            plain.close_to(&handle, 0.0, 0.0).unwrap_or_else(|difference| panic!("{call} of {shape}: {difference}"));
        }
        (Err(plain), Err(handle)) => assert_eq!((plain.op, plain.kind), (handle.op, handle.kind), "{call} of {shape}"),
        (plain, handle) => panic!("{call} of {shape}: {plain:?} and {handle:?}"),
    }
}

/// Calls the methods on a tensor and on a handle with its value.
macro_rules! assert_same {
    ($x:expr; $($method:ident($($argument:expr),*))*) => {$({
        let (tape, x): (Tape<f64>, &Tensor<f64>) = (Tape::new(), $x);
        let call = concat!(stringify!($method), "(", stringify!($($argument),*), ")");
        assert_same(call, x.shape(), x.$method($($argument),*), tape.var(x).$method($($argument),*));
    })*};
}

/// Calls the methods on two tensors and on two handles with their values.
macro_rules! assert_same_of_two {
    ($x:expr, $y:expr; $($method:ident)*) => {$({
        let (tape, x, y): (Tape<f64>, &Tensor<f64>, &Tensor<f64>) = (Tape::new(), $x, $y);
        assert_same(stringify!($method), x.shape(), x.$method(y), tape.var(x).$method(tape.var(y)));
    })*};
}

fn shapes() -> Vec<Tensor<f64>> {
    let shapes: [&[usize]; 7] = [&[], &[3], &[1, 3], &[2, 3], &[0, 3], &[2, 1, 3], &[2, 2, 2, 3]];
    let number = |index: &[usize]| index.iter().fold(0.5, |number, &i| 1.7 * number + i as f64) - 2.0;
    shapes.iter().map(|&shape| Tensor::from_fn(shape, number)).collect()
}

#[test]
fn views() {
    for x in &shapes() {
        assert_same! { x;
            t() flatten() item() rank()
            reshape([6]) reshape([3, 1]) broadcast_to([2, 3]) broadcast_to([2, 2, 3]) permute([1, 0]) permute([0, 0])
            permute([-1]) flip([0, 1]) flip([0, 0])
        }
        for axis in -4..4 {
            assert_same! { x;
                squeeze(axis) unsqueeze(axis) flip(axis) transpose(axis, 0) transpose(-1, axis) index_axis(axis, 0)
                index_axis(axis, 2) slice(axis, 1..) slice(axis, ..3) slice_step(axis, .., 2) slice_step(axis, 0..2, 0)
                split(2, axis) split(0, axis) index_select(axis, [0, 2, 0]) index_select(axis, Tensor::from([[0]])) index_select(axis, 1)
            }
        }
    }
}

#[test]
fn reductions() {
    for x in &shapes() {
        assert_same! { x;
            sum() mean() prod() max() min() std(1) var(0) norm(2.0) norm(1.0) count_nonzero()
            sum_axes([]) sum_axes([0, 1]) mean_axes([1]) amax([0, -1]) amin([1, 1]) std_axes([0], 1) var_axes([0, 1], 0)
        }
        for axis in -4..4 {
            assert_same! { x;
                sum_axes(axis) mean_axes(axis) amax(axis) amin(axis) std_axes(axis, 0) var_axes(axis, 1) argmax(axis)
                argmin(axis) argsort(axis, SortOrder::Ascending) argsort(axis, SortOrder::Descending) softmax(axis)
            }
        }
    }
}

#[test]
fn functions_of_elements() {
    for x in &shapes() {
        assert_same! { x;
            abs() exp() ln() tanh() sigmoid() relu() floor()
            maximum(0.5) minimum(0.5) pow(2.0) gt(0.0) le(0.0) eq(0.5) atan2(1.0) leaky_relu(0.1)
        }
        for y in &shapes() {
            assert_same_of_two! { x, y; maximum hypot pow lt matmul dot add sub mul div }
            let (tape, mask) = (Tape::new(), x.gt(0.5).unwrap());
            assert_same("select", x.shape(), mask.select(y, 0.25), tape.mask(&mask).select(tape.var(y), 0.25));
            assert_same("select", x.shape(), mask.select(0.25, x), tape.mask(&mask).select(0.25, tape.var(x)));
        }
    }
}
