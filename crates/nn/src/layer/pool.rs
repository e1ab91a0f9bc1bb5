//! Pools: the maximum or mean of windows.

use autograd::{AvgPool2dOptions, Float, MaxPool2dOptions, Var};

use super::layer;

macro_rules! pool {
    ($(#[$doc:meta])* $layer:ident($method:ident, $options:ident)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, autograd_derive::Module)]
        pub struct $layer {
            /// Height and width of the window.
            pub window: [usize; 2],
            /// Stride and padding, among others. Windows do not overlap unless a stride is given.
            #[module(setting)]
            pub options: $options,
        }

        impl $layer {
            /// Windows of this size, side by side.
            pub fn new(window: [usize; 2]) -> Self {
                Self { window, options: $options::default() }
            }

            /// The pool of every channel.
            #[track_caller]
            pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
                x.$method(self.window, self.options)
            }
        }

        layer!($layer);
    };
}

pool! {
    /// The largest element of each window.
    ///
    /// # Shapes
    /// `[n, channels, height, width]` → `[n, channels, height′, width′]`.
    ///
    /// ```
    /// use autograd::{Tape, Tensor};
    /// use nn::MaxPool2d;
    ///
    /// let tape = Tape::<f32>::new();
    /// let images = tape.constant(Tensor::zeros([2, 3, 8, 8]));
    /// assert_eq!(MaxPool2d::new([2, 2]).forward(images).shape(), [2, 3, 4, 4].into());
    /// ```
    MaxPool2d(max_pool2d, MaxPool2dOptions)
}

pool! {
    /// The mean of each window.
    ///
    /// # Shapes
    /// `[n, channels, height, width]` → `[n, channels, height′, width′]`.
    ///
    /// ```
    /// use autograd::Tape;
    /// use nn::AvgPool2d;
    ///
    /// let tape = Tape::new();
    /// let image = tape.constant([[[[1.0_f32, 3.0], [5.0, 7.0]]]]);
    /// assert_eq!(AvgPool2d::new([2, 2]).forward(image).value()?, [[[[4.0]]]].into());
    /// # Ok::<(), autograd::Error>(())
    /// ```
    AvgPool2d(avg_pool2d, AvgPool2dOptions)
}

/// The means of as many parts of an image as are asked for, whatever its size; `[1, 1]` is the mean of each channel.
///
/// # Shapes
/// `[n, channels, height, width]` → `[n, channels, size[0], size[1]]`.
///
/// ```
/// use autograd::{Tape, Tensor};
/// use nn::AdaptiveAvgPool2d;
///
/// // A classifier behind it takes images of every size.
/// let tape = Tape::<f32>::new();
/// for size in [7, 12] {
///     let maps = tape.constant(Tensor::zeros([2, 8, size, size]));
///     assert_eq!(AdaptiveAvgPool2d::new([1, 1]).forward(maps).shape(), [2, 8, 1, 1].into());
/// }
/// ```
#[derive(Debug, Clone, Copy, autograd_derive::Module)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the result.
    pub size: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// Results of this size.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size }
    }

    /// The mean of every part.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.adaptive_avg_pool2d(self.size)
    }
}

layer!(AdaptiveAvgPool2d);

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Tape, Tensor};

    #[test]
    fn options_reach_the_op() {
        let tape = Tape::<f64>::new();
        let x = tape.constant(Tensor::from_fn([1, 1, 4, 4], |at| (4 * at[2] + at[3]) as f64));
        let overlapping = MaxPool2dOptions { stride: Some([1, 2]), ..MaxPool2dOptions::default() };
        let pool = MaxPool2d { options: overlapping, ..MaxPool2d::new([2, 2]) };
        assert_eq!(pool.forward(x).value().unwrap().to_vec(), [5.0, 7.0, 9.0, 11.0, 13.0, 15.0]);
        assert_eq!(AvgPool2d::new([4, 2]).forward(x).value().unwrap().to_vec(), [6.5, 8.5]);
        assert_eq!(AdaptiveAvgPool2d::new([1, 2]).forward(x).value().unwrap().to_vec(), [6.5, 8.5]);
        let text = MaxPool2d::new([9, 9]).forward(x).value().unwrap_err().to_string();
        assert!(text.starts_with("max_pool2d: ") && text.contains("layer/pool.rs"), "{text}");
    }
}
