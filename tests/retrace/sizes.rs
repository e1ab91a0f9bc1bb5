//! Sizes at the edges: axes of no elements, and sizes that no memory has room for. The first have a right answer, the second
//! are errors; neither ends the program.

use autograd::{RecurrentOptions, RecurrentWeights, RnnActivation, Tape, Tensor, Var};

type V<'t> = Var<'t, f64>;

/// A recurrent network: its gates, its states, and all that it computes, from x, both weights, both biases and the states.
type Network = for<'t> fn(&[V<'t>], &RecurrentOptions) -> Vec<V<'t>>;

fn weights<'t>(x: &[V<'t>]) -> RecurrentWeights<'t, f64> {
    RecurrentWeights { input: x[1], hidden: x[2], bias: Some([x[3], x[4]]) }
}

const NETWORKS: [(usize, usize, Network); 4] = [
    (4, 2, |x, options| {
        let (y, [h, c]) = x[0].lstm(&weights(x), Some([x[5], x[6]]), options);
        vec![y, h, c]
    }),
    (3, 1, |x, options| {
        let (y, h) = x[0].gru(&weights(x), Some(x[5]), options);
        vec![y, h]
    }),
    (1, 1, |x, options| {
        let (y, h) = x[0].rnn(&weights(x), Some(x[5]), RnnActivation::Tanh, options);
        vec![y, h]
    }),
    (1, 1, |x, options| {
        let (y, h) = x[0].rnn(&weights(x), Some(x[5]), RnnActivation::Relu, options);
        vec![y, h]
    }),
];

fn operands([steps, batch, inputs, width]: [usize; 4], gates: usize, states: usize) -> Vec<Tensor<f64>> {
    let rows = gates * width;
    let shapes = [vec![steps, batch, inputs], vec![rows, inputs], vec![rows, width], vec![rows], vec![rows]];
    let states = std::iter::repeat_n(vec![batch, width], states);
    let element = |k: usize, i: &[usize]| (i.iter().fold(k + 1, |sum, i| 3 * sum + i) as f64).sin();
    shapes.into_iter().chain(states).enumerate().map(|(k, shape)| Tensor::from_fn(shape, |i| element(k, i))).collect()
}

/// The values, the gradients of all operands, and their gradients again, each in one list.
fn all_orders(x: &[Tensor<f64>], network: Network, options: &RecurrentOptions, is_data: bool) -> [Vec<Tensor<f64>>; 3] {
    let tape = Tape::new();
    let first = |x: Tensor<f64>| if is_data { tape.constant(x) } else { tape.var(x) };
    let mut x = x.iter().cloned();
    let x: Vec<V<'_>> = x.next().map(first).into_iter().chain(x.map(|x| tape.var(x))).collect();
    let y = network(&x, options);
    let loss = y.iter().map(|y| y.square().sum()).reduce(|a, b| a + b).unwrap();
    let of =
        |found: &autograd::Gradients<f64>, x: V<'_>| found.of(x).cloned().unwrap_or_else(|_| Tensor::zeros(x.shape()));
    let found = loss.backward().unwrap();
    let slopes = loss.grad(x.clone()).unwrap();
    let again = slopes.iter().map(|slope| slope.square().sum()).reduce(|a, b| a + b).unwrap().backward().unwrap();
    for (slope, &x) in slopes.iter().zip(&x) {
        slope.value().unwrap().close_to(&of(&found, x), 1e-12, 1e-12).unwrap();
    }
    [
        y.iter().map(|y| y.value().unwrap()).collect(),
        x.iter().map(|&x| of(&found, x)).collect(),
        x.iter().map(|&x| of(&again, x)).collect(),
    ]
}

/// Networks without steps are errors. Without samples all gradients are zero, and without inputs all is as with inputs of
/// which each is zero.
#[test]
fn recurrent_networks_take_sizes_of_zero() {
    let zeroed = |size: [usize; 4], zeros: usize| {
        std::array::from_fn::<usize, 4, _>(|axis| if zeros >> axis & 1 == 1 { 0 } else { size[axis] })
    };
    for size in [[2, 3, 2, 5], [1, 1, 2, 5]].iter().flat_map(|&size| (0..16).map(move |zeros| zeroed(size, zeros))) {
        let [steps, batch, inputs, width] = size;
        let lengths = [None, Some((0..batch).map(|k| 1 + k % steps.max(1)).collect::<Tensor<usize>>())];
        let options = lengths
            .into_iter()
            .flat_map(|lengths| [false, true].map(|reverse| RecurrentOptions { reverse, lengths: lengths.clone() }));
        for (options, (gates, states, network)) in options.flat_map(|o| NETWORKS.map(|network| (o.clone(), network))) {
            let x = operands(size, gates, states);
            if steps == 0 {
                let tape = Tape::new();
                let x: Vec<V<'_>> = x.into_iter().map(|x| tape.var(x)).collect();
                let error = network(&x, &options)[0].value().unwrap_err().to_string();
                assert!(error.contains("must be a sequence of at least one step"), "{error}");
                continue;
            }
            for is_data in [false, true] {
                let [values, first, second] = all_orders(&x, network, &options, is_data);
                assert_eq!(values[0].shape()[..], [steps, batch, width]);
                assert!(values[1..].iter().all(|y| y.shape()[..] == [batch, width]));
                for found in [&first, &second] {
                    assert!(found.iter().zip(&x).all(|(g, x)| g.shape() == x.shape()));
                    assert!(batch > 0 || found.iter().all(|g| g.iter().all(|g| g == 0.0)));
                }
                if inputs == 0 {
                    let mut wide = operands([steps, batch, 1, width], gates, states);
                    wide[2..].clone_from_slice(&x[2..]);
                    (wide[0], wide[1]) = (Tensor::zeros(wide[0].shape()), Tensor::zeros(wide[1].shape()));
                    let [_, g, h] = all_orders(&wide, network, &options, true);
                    for k in 2..x.len() {
                        first[k].close_to(&g[k], 1e-12, 1e-12).unwrap();
                        second[k].close_to(&h[k], 1e-12, 1e-12).unwrap();
                    }
                }
            }
        }
    }
}
