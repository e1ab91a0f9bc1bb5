//! Nothing recurses: long recordings are built, differentiated and dropped on a stack of 128 KiB.

use autograd::{Tape, Tensor};

/// Ten million scalars and a million tensors, and fewer where the tests are not optimised.
const SCALARS: usize = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };
const TENSORS: usize = SCALARS / 10;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(test).expect("a thread");
    thread.join().expect("the test passes");
}

#[test]
fn a_long_chain_of_scalars() {
    on_a_small_stack(|| {
        let mut tape = Tape::<f64>::new();
        for round in 0..2 {
            let x = tape.scalar(0.5);
            let mut y = x;
            for k in 0..SCALARS {
                y = if k % 2 == 0 { y + x } else { y - x };
            }
            // Pairs of steps cancel.
            assert_eq!(y.backward().unwrap().of(x).unwrap(), 1.0, "round {round}");
            assert!(tape.len() > SCALARS);
            tape.clear();
        }
    });
}

#[test]
fn a_long_chain_of_tensors() {
    on_a_small_stack(|| {
        let mut tape = Tape::<f32>::new();
        let x = tape.var([0.25, 0.5]);
        let mut y = x;
        for _ in 0..TENSORS / 2 {
            y = -(-y);
        }
        assert_eq!(y.sum().backward().unwrap().of(x).unwrap().to_vec(), [1.0, 1.0]);
        tape.clear();
        assert!(tape.is_empty());
    });
}

/// The recorded sweep doubles the recording, and its result is differentiated again.
#[test]
fn a_long_derivative_of_a_derivative() {
    on_a_small_stack(|| {
        let tape = Tape::<f64>::new();
        let (x, v) = (tape.scalar(1.0), tape.var(Tensor::ones([2])));
        let (mut y, mut w) = (x, v);
        for _ in 0..TENSORS / 10 {
            y = y * 1.0 + (x - x);
            w = w * 1.0 + (v - v);
        }
        let loss = (y * y * y + (w * w * w).sum()) * 0.5;
        let slope = loss.grad(x);
        let slopes = loss.grad(v);
        assert_eq!((slope.value().unwrap(), slopes.value().unwrap().to_vec()), (1.5, vec![1.5, 1.5]));
        let second = (slope + slopes.sum()).backward().unwrap();
        assert_eq!((second.of(x).unwrap(), second.of(v).unwrap().to_vec()), (3.0, vec![3.0, 3.0]));
    });
}
