//! Elementwise formulas that are compositions, as accurate and nearly as fast as an op of their own.

use super::random::{Distribution, Seed};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::var::{Term, Var};

/// # Elementwise formulas
impl<'t, T: Float> Var<'t, T> {
    /// Between this (weight 0) and `end` (weight 1): x + weight·(end − x).
    ///
    /// Derivative: 1 − weight, weight, and end − x for the weight.
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A quarter of the way.
    /// let (start, end) = (tape.constant([0.0_f64, 8.0]), tape.constant([4.0, 0.0]));
    /// assert_eq!(start.lerp(end, 0.25).value()?.to_vec(), [1.0, 6.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn lerp(self, end: Self, weight: impl Into<Term<'t, T>>) -> Self {
        ((end - self) * weight + self).called("lerp")
    }

    /// x + scale·a·b.
    ///
    /// Derivative: 1, scale·b, scale·a.
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let [x, a, b] = [[1.0_f64, 1.0], [2.0, 3.0], [5.0, 7.0]].map(|list| tape.constant(list));
    /// assert_eq!(x.addcmul(a, b, 0.5).value()?.to_vec(), [6.0, 11.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn addcmul(self, a: Self, b: Self, scale: T) -> Self {
        (self + a * b * Term::Number(scale)).called("addcmul")
    }

    /// x + scale·a/b.
    ///
    /// Derivative: 1, scale/b, −scale·a/b².
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // A step of Adam: parameter, mean and root of the second moment.
    /// let [x, mean, root] = [[1.0_f64, 1.0], [2.0, -4.0], [4.0, 4.0]].map(|list| tape.constant(list));
    /// assert_eq!(x.addcdiv(mean, root, -0.5).value()?.to_vec(), [0.75, 1.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn addcdiv(self, a: Self, b: Self, scale: T) -> Self {
        (self + a / b * Term::Number(scale)).called("addcdiv")
    }

    /// x·2ⁿ.
    ///
    /// Derivative: 2ⁿ, and y·ln 2 for n.
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // Mantissas and exponents.
    /// let (x, n) = (tape.constant([0.75_f64, -0.5]), tape.constant([4.0, -1.0]));
    /// assert_eq!(x.ldexp(n).value()?.to_vec(), [12.0, -0.25]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn ldexp(self, exponent: Self) -> Self {
        (self * exponent.exp2()).called("ldexp")
    }

    /// x/y, rounded down.
    ///
    /// Derivative: 0.
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([7.0_f64, -7.0]);
    /// assert_eq!(x.div_floor(2.0).value()?.to_vec(), [3.0, -4.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn div_floor(self, y: impl Into<Term<'t, T>>) -> Self {
        (self / y).floor().called("div_floor")
    }

    /// x/y, rounded towards 0.
    ///
    /// Derivative: 0.
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([7.0_f64, -7.0]);
    /// assert_eq!(x.div_trunc(2.0).value()?.to_vec(), [3.0, -3.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn div_trunc(self, y: impl Into<Term<'t, T>>) -> Self {
        (self / y).trunc().called("div_trunc")
    }

    /// ln(x / (1 − x)) of x moved to [ε, 1 − ε], so that it is finite.
    ///
    /// Derivative: 1/(x(1 − x)) in [ε, 1 − ε], else 0.
    /// Shapes: any → the same, element by element.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([0.5_f64, 1.0]);
    /// let y = x.logit_clamped(0.2);
    /// assert!(y.value()?.iter().all(f64::is_finite));
    /// assert_eq!(y.sum().backward()?.of(x)?.to_vec(), [4.0, 0.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn logit_clamped(self, epsilon: T) -> Self {
        let [low, high] = [epsilon, T::ONE - epsilon].map(Term::Number);
        let outside = self.lt(low) | self.gt(high);
        outside.select(self.detach().clamp(low, high), self).logit().called("logit_clamped")
    }

    /// x, with other numbers for not-a-number and for the infinities. See [`nan_to_num`](Self::nan_to_num) for 0 and the
    /// largest finite numbers.
    ///
    /// Derivative: 1 where x is finite, else 0; where a number that takes its place is a handle, that gets 1.
    /// Shapes: the operands broadcast.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.constant([f64::NAN, f64::INFINITY, 2.0]);
    /// assert_eq!(x.nan_to_num_with(-1.0, 10.0, -10.0).value()?.to_vec(), [-1.0, 10.0, 2.0]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn nan_to_num_with(
        self,
        nan: impl Into<Term<'t, T>>,
        infinity: impl Into<Term<'t, T>>,
        minus_infinity: impl Into<Term<'t, T>>,
    ) -> Self {
        let or_below = self.lt(Term::Number(-T::MAX)).select(minus_infinity, self);
        let or_above = self.gt(Term::Number(T::MAX)).select(infinity, or_below);
        self.ne(self).select(nan, or_above).called("nan_to_num_with")
    }

    /// The logarithm of the multivariate Γ function of dimension p: p(p − 1)/4·ln π + Σᵢ lgamma(x − i/2), i = 0 … p − 1.
    ///
    /// Derivative: Σᵢ digamma(x − i/2). Domain: x > (p − 1)/2.
    /// Shapes: any → the same, element by element. A p of 0 is an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// // In one dimension it is lgamma.
    /// let x = tape.constant([2.5_f64, 7.0]);
    /// assert_eq!(x.mvlgamma(1).value()?, x.lgamma().value()?);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn mvlgamma(self, p: u32) -> Self {
        if p == 0 {
            return self.fail("mvlgamma", ErrorKind::Argument { name: "p", must: "at least 1", found: p.to_string() });
        }
        // A difference, a function and a sum for each term.
        if let Err(kind) = self.tape().must_have_room(3 * p as usize) {
            return self.fail("mvlgamma", kind);
        }
        let number = |x: f64| Term::Number(T::from_f64(x));
        let dimension = f64::from(p);
        let constant = number(dimension * (dimension - 1.0) / 4.0 * std::f64::consts::PI.ln());
        (1..p).fold(self.lgamma() + constant, |sum, i| sum + (self - number(f64::from(i) / 2.0)).lgamma())
    }

    /// The gated linear unit: a·sigmoid(b) of the halves a, b of an axis (Dauphin et al. 2016).
    ///
    /// Derivative: sigmoid(b) for a, y(1 − sigmoid(b)) for b.
    /// Shapes: `[.., 2n, ..]` → `[.., n, ..]`; an odd size is an error.
    ///
    /// ```
    /// use autograd::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0_f32, 5.0, 0.0, 0.0]);
    /// assert_eq!(x.glu(0).value()?.to_vec(), [1.5, 2.5]);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn glu(self, axis: isize) -> Self {
        let size = self.size(axis);
        if !size.is_multiple_of(2) {
            let found = self.shape().to_string();
            return self.fail("glu", ErrorKind::Argument { name: "the size of the axis", must: "even", found });
        }
        (self.slice(axis, 0..size / 2) * self.slice(axis, size / 2..size).sigmoid()).called("glu")
    }

    /// The leaky relu with a slope for each element, drawn uniformly between `low` and `high` (Xu et al. 2015): for
    /// training. In use the slope is the mean of the two, `x.leaky_relu((low + high) / 2.0)`; PyTorch's bounds are 1/8 and
    /// 1/3.
    ///
    /// Derivative: 1 for x > 0, else the slope drawn.
    /// Shapes: any → the same.
    ///
    /// ```
    /// use autograd::Tape;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([-1.0_f64, 2.0]);
    /// let y = x.rrelu(0.125, 0.375, &mut StdRng::seed_from_u64(0)).value()?.to_vec();
    /// assert!((-0.375..=-0.125).contains(&y[0]) && y[1] == 2.0);
    /// # Ok::<(), autograd::Error>(())
    /// ```
    #[track_caller]
    pub fn rrelu(self, low: T, high: T, seed: impl Seed<'t, T>) -> Self {
        let slopes = Distribution::Uniform { low: low.to_f64(), high: high.to_f64() };
        self.leaky_relu(self.tape.drawn(slopes, self.shape(), seed.on(self.tape)).called("rrelu"))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use crate::{Tape, Tensor};

    #[test]
    fn slopes_of_rrelu_lie_between_the_bounds() {
        let tape = Tape::<f64>::new();
        let x = tape.var(Tensor::full([1000], -1.0));
        let slopes = (-x.rrelu(0.1, 0.3, &mut StdRng::seed_from_u64(0))).value().unwrap();
        assert!(slopes.iter().all(|slope| (0.1..0.3).contains(&slope)));
        assert!(slopes.min().unwrap() < 0.11 && slopes.max().unwrap() > 0.29);
    }

    #[test]
    fn quotients_round_down_or_towards_zero() {
        let tape = Tape::<f64>::new();
        let x = tape.var([-7.0, 7.0]);
        assert_eq!(x.div_floor(2.0).value().unwrap().to_vec(), [-4.0, 3.0]);
        assert_eq!(x.div_trunc(2.0).value().unwrap().to_vec(), [-3.0, 3.0]);
    }

    #[test]
    fn an_odd_axis_has_no_halves() {
        let tape = Tape::<f64>::new();
        let error = tape.var([1.0, 2.0, 3.0]).glu(0).value().unwrap_err().to_string();
        assert!(error.starts_with("glu: the size of the axis must be even, found [3], at "), "{error}");
    }
}
