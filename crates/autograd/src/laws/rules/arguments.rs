//! Wrong arguments.

use std::collections::HashSet;

use crate::error::ErrorKind;
use crate::kernel::samples::Draws;
use crate::laws::cases::refused;
use crate::ops::Op;
use crate::tape::Tape;

/// Ops that only other operations and their derivatives record, and whose arguments are therefore right.
const NOT_FOR_USERS: &[&str] = &[
    "embed",
    "recurrence",
    "softmax_adjoint",
    "log_softmax_adjoint",
    "softmax_cross_entropy_adjoint",
    "nll_adjoint",
    "scatter_adjoint",
    "except",
    "conv2d_weight",
    "pick",
    "avg_pool2d_adjoint",
    "layer_norm",
    "layer_norm_adjoint",
    "batch_norm_adjoint",
    "batch_norm_sums",
    "scaled_dot_product_attention_adjoint",
    "drop_weights",
    "within_lengths",
    "lstm_adjoint",
    "gru_adjoint",
    "rnn_adjoint",
];

/// An op with several methods, such as `sum` with `sum_axes`, fails by the name of the one that was called.
#[test]
fn wrong_arguments_fail_by_the_name_of_the_method() {
    let refused = refused::<f64>();
    // What draws has no operand that a derivative is taken of.
    for name in Op::NAMES.iter().filter(|&&name| name != "draw") {
        assert_ne!(refused.iter().any(|(op, _)| op == name), NOT_FOR_USERS.contains(name), "{name}");
    }
    for (name, formula) in &refused {
        let tape = Tape::new();
        let error = formula.record(&tape, &mut Draws(0)).1.value().unwrap_err();
        assert!(error.op.starts_with(name), "{name}: {error}");
    }
}

/// Only whether integers are indices depends on elements.
#[test]
fn wrong_arguments_fail_by_shapes_alone() {
    let mut by_shape = HashSet::new();
    for (name, formula) in &refused::<f64>() {
        let (tape, hollow) = (Tape::new(), Tape::of_shapes());
        for tape in [&tape, &hollow] {
            formula.record(tape, &mut Draws(0));
        }
        let error = tape.failure().unwrap();
        if matches!(error.kind, ErrorKind::Index { .. }) {
            assert_eq!(hollow.failure(), None, "{name}");
        } else {
            assert_eq!(hollow.failure(), Some(error), "{name}");
            by_shape.insert(*name);
        }
    }
    for name in Op::NAMES.iter().filter(|&&name| name != "draw") {
        assert_ne!(by_shape.contains(name), NOT_FOR_USERS.contains(name), "{name}");
    }
}
