//! What tests of tensor ops share: derivatives against central differences.

use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::Var;

/// Numbers between −1.5 and 1.5 without ties, the same for the same seed.
pub(crate) fn sample(shape: &[usize], seed: u64) -> Tensor<f64> {
    let mut draws = crate::kernel::samples::Draws(seed);
    Tensor::from_fn(shape, |_| 1.5 * draws.number::<f64>())
}

/// Asserts that first and second derivatives of `f` agree with central differences at `inputs`, and that the numeric and
/// the recorded reverse sweep agree with each other. `f` must be smooth near `inputs`.
#[track_caller]
pub(crate) fn assert_gradient(f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>, inputs: &[Tensor<f64>]) {
    let numeric = gradient(&f, inputs);
    let differences = central_differences(|x| weighted(&f, x), inputs);
    let recorded = recorded_gradient(&f, inputs);
    for (i, gradient) in numeric.iter().enumerate() {
        assert_close("first derivative", i, gradient, &differences[i]);
        assert_close("recorded first derivative", i, &recorded[i], gradient);
    }
    let differences = central_differences(|x| along(&gradient(&f, x)), inputs);
    for (i, gradient) in second_gradient(&f, inputs).iter().enumerate() {
        assert_close("second derivative", i, gradient, &differences[i]);
    }
}

#[track_caller]
fn assert_close(what: &str, operand: usize, found: &Tensor<f64>, expected: &Tensor<f64>) {
    if let Err(difference) = found.close_to(expected, 1e-6, 1e-6) {
        panic!("{what} by operand {operand}: {difference}");
    }
}

/// Σ w·f(x) with weights that are all different.
fn loss<'t>(f: &impl Fn(&[Var<'t, f64>]) -> Var<'t, f64>, x: &[Var<'t, f64>]) -> crate::Scalar<'t, f64> {
    let y = f(x);
    (y * y.tape().constant(sample(&y.shape(), 99))).sum()
}

fn weighted(f: &impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>, inputs: &[Tensor<f64>]) -> f64 {
    let tape = Tape::new();
    let x: Vec<_> = inputs.iter().map(|x| tape.var(x.clone())).collect();
    loss(f, &x).value().unwrap()
}

fn gradient(f: &impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let x: Vec<_> = inputs.iter().map(|x| tape.var(x.clone())).collect();
    let gradients = loss(f, &x).backward().unwrap();
    x.iter().map(|&x| gradients.of(x).unwrap_or_else(|_| Tensor::zeros(x.shape()))).collect()
}

fn recorded_gradient(f: &impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let x: Vec<_> = inputs.iter().map(|x| tape.var(x.clone())).collect();
    let y = loss(f, &x);
    x.iter().map(|&x| y.grad(x).value().unwrap()).collect()
}

/// Σ v·∂loss/∂x with directions that are all different.
fn along(gradients: &[Tensor<f64>]) -> f64 {
    let direction = |i: usize| sample(gradients[i].shape(), 7 + i as u64);
    (0..gradients.len()).flat_map(|i| gradients[i].iter().zip(direction(i).to_vec()).map(|(g, v)| g * v)).sum()
}

fn second_gradient(f: &impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let x: Vec<_> = inputs.iter().map(|x| tape.var(x.clone())).collect();
    let y = loss(f, &x);
    let product = x.iter().enumerate().map(|(i, &x)| {
        let g = y.grad(x);
        (g * tape.constant(sample(&g.shape(), 7 + i as u64))).sum()
    });
    let total = product.reduce(|a, b| a + b).unwrap();
    let gradients = total.backward().ok();
    let of = |x: Var<'_, f64>| gradients.as_ref().and_then(|gradients| gradients.of(x).ok());
    x.iter().map(|&x| of(x).unwrap_or_else(|| Tensor::zeros(x.shape()))).collect()
}

fn central_differences(f: impl Fn(&[Tensor<f64>]) -> f64, inputs: &[Tensor<f64>]) -> Vec<Tensor<f64>> {
    let step = 1e-5;
    let moved = |i: usize, k: usize, by: f64| {
        let mut inputs = inputs.to_vec();
        inputs[i].as_mut_slice()[k] += by;
        f(&inputs)
    };
    let slope = |i: usize, k: usize| (moved(i, k, step) - moved(i, k, -step)) / (2.0 * step);
    (0..inputs.len())
        .map(|i| {
            let slopes = (0..inputs[i].len()).map(|k| slope(i, k)).collect();
            Tensor::from_vec(inputs[i].shape(), slopes).unwrap()
        })
        .collect()
}

/// Asserts that `f` fails with a text that starts like `expected`.
#[track_caller]
pub(crate) fn assert_fails(f: impl for<'t> Fn(&'t Tape<f64>) -> Var<'t, f64>, expected: &str) {
    let tape = Tape::new();
    let text = f(&tape).value().unwrap_err().to_string();
    assert!(text.starts_with(&format!("{expected}, at ")), "{text}");
}

/// The text of what `f` fails with for operands of these shapes, without the line, which is the test's.
#[track_caller]
pub(crate) fn failure(shapes: &[&[usize]], f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>) -> String {
    let tape = Tape::new();
    let x: Vec<_> = shapes.iter().map(|&shape| tape.constant(Tensor::zeros(shape))).collect();
    let text = f(&x).value().unwrap_err().to_string();
    let (text, location) = text.rsplit_once(", at ").unwrap();
    assert!(location.starts_with(std::panic::Location::caller().file()), "{location}");
    text.to_string()
}
