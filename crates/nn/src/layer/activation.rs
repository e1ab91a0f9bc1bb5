//! Activations as layers without parameters: each is the method of the same name.

use autograd::{Float, Term, Var};

use super::layer;

macro_rules! activation {
    ($($(#[$doc:meta])* $layer:ident: $method:ident)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("The method [`", stringify!($method), "`](autograd::Var::", stringify!($method), ") as a layer.")]
        ///
        /// # Shapes
        /// Any, unchanged.
        ///
        /// ```
        /// use autograd::Tape;
        #[doc = concat!("use nn::", stringify!($layer), ";")]
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-1.5_f64, 0.25, 2.0]);
        #[doc = concat!("let y = ", stringify!($layer), ".forward(x);")]
        #[doc = concat!("assert_eq!(y.value()?, x.", stringify!($method), "().value()?);")]
        /// # Ok::<(), autograd::Error>(())
        /// ```
        #[derive(Debug, Clone, Copy, Default, PartialEq, autograd_derive::Module)]
        pub struct $layer;

        impl $layer {
            /// The function of every element.
            #[track_caller]
            pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
                x.$method()
            }
        }

        layer!($layer);
    )*};
}

/// Activations with one setting.
macro_rules! activation_with {
    ($($(#[$doc:meta])* $layer:ident: $method:ident($setting:ident = $default:literal))*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("The method [`", stringify!($method), "`](autograd::Var::", stringify!($method), ") as a layer.")]
        ///
        /// # Shapes
        /// Any, unchanged.
        ///
        /// ```
        /// use autograd::Tape;
        #[doc = concat!("use nn::", stringify!($layer), ";")]
        ///
        /// let tape = Tape::new();
        /// let x = tape.constant([-1.5_f64, 0.25, 2.0]);
        #[doc = concat!("let y = ", stringify!($layer), "::default().forward(x);")]
        #[doc = concat!("assert_eq!(y.value()?, x.", stringify!($method), "(", stringify!($default), ").value()?);")]
        /// # Ok::<(), autograd::Error>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, autograd_derive::Module)]
        pub struct $layer {
            #[doc = concat!("Default: ", stringify!($default), ".")]
            pub $setting: f64,
        }

        impl Default for $layer {
            fn default() -> Self {
                Self { $setting: $default }
            }
        }

        impl $layer {
            /// The function of every element.
            #[track_caller]
            pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
                x.$method(Term::Number(T::from_f64(self.$setting)))
            }
        }

        layer!($layer);
    )*};
}

activation! {
    /// max(0, x).
    Relu: relu
    /// min(max(0, x), 6).
    Relu6: relu6
    /// The hyperbolic tangent.
    Tanh: tanh
    /// 1/(1 + e⁻ˣ).
    Sigmoid: sigmoid
    /// ln of the sigmoid.
    LogSigmoid: logsigmoid
    /// x·Φ(x).
    Gelu: gelu
    /// x·Φ(x) with tanh in place of erf.
    GeluTanh: gelu_tanh
    /// x·sigmoid(x).
    Silu: silu
    /// x·tanh(softplus(x)).
    Mish: mish
    /// The self-normalising exponential unit.
    Selu: selu
    /// x/(1 + |x|).
    Softsign: softsign
    /// x − tanh(x).
    Tanhshrink: tanhshrink
    /// A sigmoid of straight pieces.
    Hardsigmoid: hardsigmoid
    /// x·hardsigmoid(x).
    Hardswish: hardswish
    /// x between −1 and 1.
    Hardtanh: hardtanh
}

activation_with! {
    /// x above 0, slope·x below.
    LeakyRelu: leaky_relu(slope = 0.01)
    /// x above 0, α(eˣ − 1) below.
    Elu: elu(alpha = 1.0)
    /// x above 0, α(e^(x/α) − 1) below.
    Celu: celu(alpha = 1.0)
    /// ln(1 + e^(βx))/β.
    Softplus: softplus(beta = 1.0)
    /// x, and 0 within ±λ.
    Hardshrink: hardshrink(lambda = 0.5)
    /// x moved by λ towards 0, and 0 within ±λ.
    Softshrink: softshrink(lambda = 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::Tape;

    #[test]
    fn settings_reach_the_method() {
        let tape = Tape::<f64>::new();
        let x = tape.constant([-2.0, 3.0]);
        assert_eq!(LeakyRelu { slope: 0.25 }.forward(x).value().unwrap().to_vec(), [-0.5, 3.0]);
        assert_eq!(LeakyRelu::default().forward(x).value().unwrap().to_vec(), [-0.02, 3.0]);
        assert_eq!(Relu.forward(x).value().unwrap().to_vec(), [0.0, 3.0]);
    }
}
