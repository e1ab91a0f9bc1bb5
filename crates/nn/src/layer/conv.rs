//! Convolutions and their transposes.

use autograd::{Conv1dOptions, Conv2dOptions, ConvTranspose2dOptions, Float, Param, Shape, Var};
use rand::Rng;

use super::{layer, optional};
use crate::init;

macro_rules! convolution {
    ($(#[$doc:meta])* $layer:ident($method:ident, $options:ident, $axes:literal), weight: $weight:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, autograd_derive::Module)]
        pub struct $layer<T: Float = f32> {
            /// The filters.
            pub weight: Param<T>,
            /// One number for each output channel.
            pub bias: Option<Param<T>>,
            /// Stride, padding, dilation, groups.
            #[module(setting)]
            pub options: $options,
        }

        impl<T: Float> $layer<T> {
            /// A layer with the default options: stride 1, no padding.
            pub fn new(inputs: usize, outputs: usize, kernel: [usize; $axes], rng: &mut (impl Rng + ?Sized)) -> Self {
                Self::with_options(inputs, outputs, kernel, $options::default(), rng)
            }

            /// A layer with options of its own. Channels that do not divide into the groups are an error of `forward`.
            pub fn with_options(
                inputs: usize,
                outputs: usize,
                kernel: [usize; $axes],
                options: $options,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                let [first, second] = $weight(inputs, outputs);
                let of_group = second.checked_div(options.groups).unwrap_or(0);
                let shape: Shape = [first, of_group].into_iter().chain(kernel).collect();
                let [weight, bias] = init::layer_default(shape, outputs, rng);
                Self { weight: weight.into(), bias: Some(bias.into()), options }
            }

            /// The same layer without its bias.
            #[must_use]
            pub fn without_bias(self) -> Self {
                Self { bias: None, ..self }
            }

            /// The convolution, plus the bias of each channel.
            #[track_caller]
            pub fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                x.$method(x.param(&self.weight), optional(x, &self.bias), self.options)
            }
        }

        layer!($layer<T>);
    };
}

convolution! {
    /// A convolution along one axis.
    ///
    /// Starts, as in PyTorch, with weight and bias uniform within ±1/√(inputs/groups·kernel).
    ///
    /// # Shapes
    /// `[n, inputs, length]` → `[n, outputs, length′]`; `weight` is `[outputs, inputs/groups, kernel]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::Conv1d;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let layer: Conv1d = Conv1d::new(2, 8, [5], &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let signals = tape.constant(Tensor::zeros([4, 2, 100]));
    /// assert_eq!(layer.forward(signals).shape(), [4, 8, 96].into());
    /// ```
    Conv1d(conv1d, Conv1dOptions, 1),
    weight: |inputs, outputs| [outputs, inputs]
}

convolution! {
    /// A convolution of images.
    ///
    /// Starts, as in PyTorch, with weight and bias uniform within ±1/√(inputs/groups·kernel area).
    ///
    /// # Shapes
    /// `[n, inputs, height, width]` → `[n, outputs, height′, width′]`; `weight` is
    /// `[outputs, inputs/groups, kernel height, kernel width]`.
    ///
    /// ```
    /// use autograd::{Conv2dOptions, Padding, Tape, Tensor};
    /// use nn::Conv2d;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let mut rng = StdRng::seed_from_u64(0);
    /// let options = Conv2dOptions { padding: Padding::Same, ..Conv2dOptions::default() };
    /// let layer: Conv2d = Conv2d::with_options(3, 8, [3, 3], options, &mut rng);
    /// let tape = Tape::new();
    /// let images = tape.constant(Tensor::zeros([2, 3, 16, 20]));
    /// assert_eq!(layer.forward(images).shape(), [2, 8, 16, 20].into());
    /// ```
    Conv2d(conv2d, Conv2dOptions, 2),
    weight: |inputs, outputs| [outputs, inputs]
}

convolution! {
    /// The adjoint of a convolution of images, with parameters of its own: makes images larger.
    ///
    /// Starts, as in PyTorch, with weight and bias uniform within ±1/√(outputs/groups·kernel area).
    ///
    /// # Shapes
    /// `[n, inputs, height, width]` → `[n, outputs, height′, width′]`; `weight` is
    /// `[inputs, outputs/groups, kernel height, kernel width]`.
    ///
    /// ```
    /// use autograd::{ConvTranspose2dOptions, Tape, Tensor};
    /// use nn::ConvTranspose2d;
    /// use rand::{SeedableRng, rngs::StdRng};
    ///
    /// let options = ConvTranspose2dOptions { stride: [2, 2], ..Default::default() };
    /// let layer: ConvTranspose2d =
    ///     ConvTranspose2d::with_options(8, 3, [2, 2], options, &mut StdRng::seed_from_u64(0));
    /// let tape = Tape::new();
    /// let maps = tape.constant(Tensor::zeros([4, 8, 16, 16]));
    /// assert_eq!(layer.forward(maps).shape(), [4, 3, 32, 32].into());
    /// ```
    ConvTranspose2d(conv_transpose2d, ConvTranspose2dOptions, 2),
    weight: |inputs, outputs| [inputs, outputs]
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Tape, Tensor};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(0)
    }

    #[test]
    fn layouts_are_pytorchs() {
        let options = Conv2dOptions { groups: 2, ..Conv2dOptions::default() };
        let layer = Conv2d::<f32>::with_options(4, 6, [3, 5], options, &mut rng());
        assert_eq!(*layer.weight.shape(), [6, 2, 3, 5].into());
        let options = ConvTranspose2dOptions { groups: 2, ..ConvTranspose2dOptions::default() };
        let layer = ConvTranspose2d::<f32>::with_options(4, 6, [3, 5], options, &mut rng());
        assert_eq!(*layer.weight.shape(), [4, 3, 3, 5].into());
        let tape = Tape::new();
        assert_eq!(layer.forward(tape.constant(Tensor::zeros([1, 4, 2, 2]))).shape(), [1, 6, 4, 6].into());
        let layer = Conv1d::<f32>::new(3, 5, [4], &mut rng()).without_bias();
        assert_eq!(*layer.weight.shape(), [5, 3, 4].into());
        assert_eq!(layer.forward(tape.constant(Tensor::zeros([2, 3, 9]))).shape(), [2, 5, 6].into());
    }

    #[test]
    fn groups_that_do_not_fit_are_an_error_of_the_user() {
        for groups in [0, 3] {
            let options = Conv2dOptions { groups, ..Conv2dOptions::default() };
            let layer = Conv2d::<f32>::with_options(4, 6, [3, 3], options, &mut rng());
            let tape = Tape::new();
            let error = layer.forward(tape.constant(Tensor::zeros([1, 4, 5, 5]))).value().unwrap_err().to_string();
            assert!(error.starts_with("conv2d: ") && error.contains("layer/conv.rs"), "{error}");
        }
    }
}
