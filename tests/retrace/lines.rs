//! Whatever can fail reports the line of user code that called it: of tensors, handles, programs, layers, losses and update
//! rules, each with an argument that it refuses.

use std::cell::Cell;

use autograd::graph::{DotGradients, DotOptions};
use autograd::*;
use nn::{Lstm, RecurrentConfig, Sequential, loss, summary_of};
use optim::{Optimizer, Sgd};
use rand::{SeedableRng, rngs::StdRng};

type N = f64;
type T = Tape<N>;
type V<'t> = Var<'t, N>;

/// What may have failed.
trait Fallible {
    fn error(self) -> Option<Error>;
}

impl<R> Fallible for Result<R> {
    fn error(self) -> Option<Error> {
        self.err()
    }
}

impl Fallible for V<'_> {
    fn error(self) -> Option<Error> {
        self.value().err()
    }
}

impl Fallible for Indices<'_, N> {
    fn error(self) -> Option<Error> {
        self.value().err()
    }
}

impl Fallible for Mask<'_, N> {
    fn error(self) -> Option<Error> {
        self.value().err()
    }
}

impl Fallible for Scalar<'_, N> {
    fn error(self) -> Option<Error> {
        self.value().err()
    }
}

impl<Y: Fallible, R> Fallible for (Y, R) {
    fn error(self) -> Option<Error> {
        self.0.error()
    }
}

impl<const M: usize> Fallible for [V<'_>; M] {
    fn error(self) -> Option<Error> {
        self.into_iter().next()?.error()
    }
}

impl Fallible for Vec<V<'_>> {
    fn error(self) -> Option<Error> {
        self.into_iter().next()?.error()
    }
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Checks that expressions are errors of a line of this file: that of the closure which failed, or of an earlier failure.
macro_rules! at_a_line_of_the_user {
    ($(|$t:ident| $call:expr;)*) => {$({
        let tape = T::new();
        let $t = &tape;
        let error = Fallible::error($call).expect(stringify!($call));
        assert!(error.location.file() == file!(), "{}: {error}", stringify!($call));
    })*};
}

/// Checks that each expression, on a line of its own, is an error of that line.
macro_rules! at_their_lines {
    ($(|$t:ident| $call:expr;)*) => {{
        let mut wrong = Vec::new();
        $({
            let tape = T::new();
            let $t = &tape;
            wrong.extend(misplaced(Fallible::error($call), stringify!($call)));
        })*
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), [$(stringify!($call)),*].len(), wrong.join("\n"));
    }};
}

fn misplaced(error: Option<Error>, call: &str) -> Option<String> {
    let Some(error) = error else { return Some(format!("{call}: no error")) };
    let line = include_str!("lines.rs").lines().nth(error.location.line() as usize - 1).unwrap_or_default();
    let is_here = error.location.file() == file!() && without_spaces(line).contains(&without_spaces(call));
    (!is_here).then(|| format!("{call}: {error}"))
}

fn x(tape: &T) -> V<'_> {
    tape.var(Tensor::ones([2, 3]))
}

fn none<'t>(tape: &'t T) -> V<'t> {
    tape.var(Tensor::ones([0, 3]))
}

fn index(i: usize) -> Tensor<usize> {
    Tensor::from([i, i])
}

#[test]
#[rustfmt::skip]
fn of_tensors() {
    let (a, b) = (Tensor::<N>::ones([2, 3]), Tensor::<N>::ones([4]));
    let mask = Tensor::from([[true; 3]; 2]);
    let none = Tensor::<N>::zeros([0, 3]);
    let huge = 1 << 46;
    at_their_lines! {
        |_t| a.reshape([7]);
        |_t| a.permute([0]);
        |_t| a.permute([0, 0]);
        |_t| a.transpose(0, 5);
        |_t| b.t();
        |_t| a.squeeze(5);
        |_t| a.unsqueeze(5);
        |_t| a.unsqueeze(-5);
        |_t| a.broadcast_to([3, 2]);
        |_t| a.broadcast_to([huge, 2, 3]);
        |_t| a.slice(5, ..);
        |_t| a.slice(0, 5..);
        |_t| a.slice_step(0, .., 0);
        |_t| a.index_axis(5, 0);
        |_t| a.index_axis(0, 5);
        |_t| a.index_select(5, [0]);
        |_t| a.index_select(0, [5]);
        |_t| a.index_select(0, [[0]]);
        |_t| a.split(0, 0);
        |_t| a.split(1, 5);
        |_t| none.broadcast_to([0, 3]).and_then(|x| x.flip(5));
        |_t| a.flip([0, 0]);
        |_t| a.item();
        |_t| Tensor::<N>::from_vec([2], vec![1.0]);
        |_t| Tensor::<N>::arange(0.0, 1.0, 0.0);
        |_t| Tensor::<N>::arange(0.0, 1e15, 1.0);
        |_t| Tensor::<N>::one_hot(&index(5), 3);
        |_t| Tensor::<N>::one_hot(&index(5), huge);
        |_t| a.add(&b);
        |_t| a.mul(&b);
        |_t| a.atan2(&b);
        |_t| a.gt(&b);
        |_t| mask.select(&b, 1.0);
        |_t| mask.select(1.0, &b);
        |_t| a.matmul(&a);
        |_t| a.dot(&b);
        |_t| a.sum_axes(5);
        |_t| a.mean_axes([0, 0]);
        |_t| a.var_axes(5, 1);
        |_t| a.std_axes(5, 1);
        |_t| none.max();
        |_t| none.min();
        |_t| none.amax(0);
        |_t| a.amin(5);
        |_t| none.argmax(0);
        |_t| a.argmin(5);
        |_t| a.argsort(5, SortOrder::Ascending);
        |_t| a.softmax(5);
        |_t| Param::new(a.clone()).set(b.clone());
        |_t| Param::new(a.clone()).update_with(&a, [&mut b.clone()], |x, _, s| (x, s));
        |_t| Param::new(a.clone()).update_with(&b, [], |x, _, s| (x, s));
    }
}

#[test]
#[rustfmt::skip]
fn of_handles() {
    let other = T::new();
    let foreign = x(&other);
    // Those that the result may be on: a tape keeps its first failure.
    let others: [T; 4] = Default::default();
    let foreigns = others.each_ref().map(x);
    let broken = T::new();
    let failed = x(&broken).reshape([7]);
    let rng = &mut StdRng::seed_from_u64(0);
    let map = Map::new("map", |[x]| x * x);
    at_their_lines! {
        |t| x(t) + foreign;
        |t| foreigns[0] + x(t);
        |t| x(t) + t.constant([1.0, 2.0]);
        |t| x(t).maximum(foreign);
        |t| x(t).clamp(0.0, foreign);
        |t| t.mask(true).select(foreign, 0.0);
        |t| x(t).gt(foreign);
        |t| t.mask(true) & x(&other).gt(0.0);
        |t| t.mask([true, false]) | [true; 3];
        |t| t.mask([true, false]).any_axes(5);
        |t| t.mask([true, false]).all_axes(5);
        |t| t.mask([true, false]).count_axes(5);
        |t| t.mask([true, false]).reshape([3]);
        |t| t.mask([true, false]).broadcast_to([3]);
        |t| t.mask([true, false]).unsqueeze(5);
        |t| t.mask([true, false]).squeeze(5);
        |t| t.mask([true, false]).permute([1]);
        |t| t.mask([true, false]).transpose(0, 1);
        |t| t.mask([true, false]).slice(0, 3..);
        |t| t.mask([true, false]).index_axis(0, 2);
        |t| x(t).lerp(foreigns[1], 0.5);
        |t| x(t).addcmul(foreigns[2], x(t), 1.0);
        |t| x(t).addcdiv(x(t), foreign, 1.0);
        |t| x(t).ldexp(foreign);
        |t| x(t).div_floor(foreign);
        |t| x(t).div_trunc(foreign);
        |t| x(t).nan_to_num_with(foreign, 0.0, 1.0);
        |t| x(t).mvlgamma(0);
        |t| x(t).glu(1);
        |t| x(t).glu(5);
        |t| x(t).item();
        |t| x(t).at([5, 5]);
        |t| x(t).at([5]);
        |t| x(t).reshape([7]);
        |t| x(t).permute([0]);
        |t| x(t).transpose(0, 5);
        |t| x(t).sum_axes(0).t();
        |t| x(t).broadcast_to([3, 2]);
        |t| x(t).expand([3, 2]);
        |t| x(t).sum_to([5]);
        |t| x(t).unsqueeze(5);
        |t| x(t).squeeze(5);
        |t| x(t).unflatten(0, [5]);
        |t| x(t).flatten_axes(1, 0);
        |t| x(t).movedim(5, 0);
        |t| x(t).swapaxes(5, 0);
        |t| x(t).tile([1 << 46]);
        |t| x(t).repeat([1 << 46]);
        |t| x(t).repeat_interleave(2, 5);
        |t| x(t).repeat_interleave(1 << 46, 0);
        |t| x(t).roll(1, 5);
        |t| x(t).rot90(1, [0, 5]);
        |t| x(t).sum_axes(0).tril(0);
        |t| x(t).sum_axes(0).triu(0);
        |t| x(t).slice(0, 5..);
        |t| x(t).slice_step(0, .., 0);
        |t| x(t).narrow(0, 5, 5);
        |t| x(t).index_axis(0, 5);
        |t| x(t).flip(5);
        |t| x(t).split(0, 0);
        |t| x(t).split_sizes(&[1], 0);
        |t| x(t).chunk(0, 0);
        |t| x(t).chunk(1, 5);
        |t| x(t).unbind(5);
        |t| x(t).pad(&[(0, 0); 3], PadMode::Reflect);
        |t| x(t).pad(&[(5, 5)], PadMode::Reflect);
        |t| x(t).pad(&[(1 << 46, 0)], PadMode::Replicate);
        |t| x(t).pad(&[(1 << 46, 0)], PadMode::Constant(0.0));
        |t| cat(&[x(t), x(t).t()], 0);
        |t| stack(&[x(t), x(t).t()], 0);
        |t| stack(&[x(t)], 5);
        |t| x(t).diagonal(0, 0, 0);
        |t| t.var(1.0).diag_embed(0);
        |t| t.var(1.0).diag(0);
        |t| x(t).gather(0, index(5));
        |t| x(t).gather(0, Tensor::full([1, 3], 5));
        |t| x(t).take_along_dim(Tensor::full([1, 3], 5), 0);
        |t| x(t).scatter(0, Tensor::full([1, 3], 5), x(t));
        |t| x(t).scatter_add(0, Tensor::full([2, 3], 5), x(t));
        |t| x(t).index_select(0, index(5));
        |t| x(t).index_add(0, index(5), x(t));
        |t| x(t).embedding(index(5));
        |t| x(t).masked_fill([true; 5], 0.0);
        |t| x(t).sum_axes(5);
        |t| x(t).sum_keepdim([0, 0]);
        |t| x(t).mean_axes(5);
        |t| x(t).prod_axes(5);
        |t| x(t).nansum_axes(5);
        |t| x(t).nanmean_axes(5);
        |t| x(t).count_nonzero_axes(5);
        |t| none(t).max();
        |t| none(t).min();
        |t| none(t).amax(0);
        |t| x(t).amin_keepdim(5);
        |t| none(t).max_with_index(0);
        |t| none(t).min_with_index(0);
        |t| none(t).argmax(0);
        |t| x(t).argmin(5);
        |t| x(t).var_axes(5, 0);
        |t| x(t).var_mean(5, 0);
        |t| x(t).std_axes(5, 0);
        |t| x(t).logsumexp(5);
        |t| x(t).norm_axes(1.0, 5);
        |t| x(t).cumsum(5);
        |t| x(t).cumprod(5);
        |t| x(t).logcumsumexp(5);
        |t| x(t).cummax(5);
        |t| x(t).cummin(5);
        |t| x(t).diff(1, 5);
        |t| x(t).trapezoid(1.0, 5);
        |t| x(t).cumulative_trapezoid(1.0, 5);
        |t| x(t).softmax(5);
        |t| x(t).softmin(5);
        |t| x(t).log_softmax(5);
        |t| x(t).sort(5, SortOrder::Ascending);
        |t| x(t).topk(5, 0, SortOrder::Ascending);
        |t| x(t).kthvalue(5, 0);
        |t| none(t).median(0);
        |t| x(t).argsort(5, SortOrder::Ascending);
        |t| x(t).matmul(x(t));
        |t| x(t).dot(x(t));
        |t| x(t).mv(x(t));
        |t| x(t).bmm(x(t));
        |t| x(t).outer(x(t));
        |t| x(t).addmm(x(t), x(t));
        |t| x(t).baddbmm(x(t), x(t));
        |t| x(t).kron(foreign);
        |t| x(t).cross(x(t), 0);
        |t| x(t).tensordot(x(t), 0, 1);
        |t| x(t).multi_dot(&[x(t)]);
        |t| x(t).linear(x(t).t(), None);
        |t| x(t).linear(x(t), Some(x(t)));
        |t| einsum("ij,jk", &[x(t), x(t)]);
        |t| einsum("ij,ij->", &[foreigns[3], x(t)]);
        |t| x(t).conv1d(x(t), None, Conv1dOptions::default());
        |t| x(t).conv2d(x(t), None, Conv2dOptions::default());
        |t| x(t).conv_transpose1d(x(t), None, ConvTranspose1dOptions::default());
        |t| x(t).conv_transpose2d(x(t), None, ConvTranspose2dOptions::default());
        |t| x(t).max_pool1d(0, MaxPool1dOptions::default());
        |t| x(t).max_pool2d([5, 5], MaxPool2dOptions::default());
        |t| x(t).max_pool2d_with_indices([5, 5], MaxPool2dOptions::default());
        |t| x(t).max_unpool2d(index(0), [2, 2]);
        |t| x(t).avg_pool1d(0, AvgPool1dOptions::default());
        |t| x(t).avg_pool2d([5, 5], AvgPool2dOptions::default());
        |t| x(t).adaptive_max_pool1d(0);
        |t| x(t).adaptive_max_pool2d([0, 0]);
        |t| x(t).adaptive_avg_pool1d(0);
        |t| x(t).adaptive_avg_pool2d([0, 0]);
        |t| x(t).lp_pool2d(0.0, [1, 1], LpPool2dOptions::default());
        |t| x(t).lp_pool2d(2.0, [5, 5], LpPool2dOptions::default());
        |t| x(t).layer_norm([5], None, None, 1e-5);
        |t| x(t).rms_norm([5], None, 1e-5);
        |t| x(t).group_norm(5, None, None, 1e-5);
        |t| x(t).sum_axes(0).instance_norm(None, None, 1e-5);
        |t| x(t).batch_norm(Some(x(t)), None, 1e-5);
        |t| x(t).batch_norm_eval(x(t), x(t), None, None, 1e-5);
        |t| x(t).softmax_cross_entropy(index(5), &CrossEntropy::default());
        |t| x(t).nll(index(5), &CrossEntropy::default());
        |t| x(t).scaled_dot_product_attention(x(t).t(), x(t), &AttentionOptions::default());
        |t| x(t).lstm(&RecurrentWeights { input: x(t), hidden: x(t), bias: None }, None, &RecurrentOptions::default());
        |t| x(t).gru(&RecurrentWeights { input: x(t), hidden: x(t), bias: None }, None, &RecurrentOptions::default());
        |t| x(t).rnn(&RecurrentWeights { input: x(t), hidden: x(t), bias: None }, None, RnnActivation::Tanh, &RecurrentOptions::default());
        |t| x(t).dropout(2.0, &mut *rng);
        |t| x(t).feature_dropout(2.0, &mut *rng);
        |t| x(t).alpha_dropout(2.0, &mut *rng);
        |t| x(t).dropout(2.0, &Generator::from_key(0));
        |t| x(t).dropout(0.5, t.indices([1, 2]));
        |t| x(t).fail("mine", ErrorKind::Custom("no".into()));
        |t| custom("refused", [x(t)], |_| Err(Error::new("refused", ErrorKind::NoOperands)), |_, _, g| [g]);
        |t| custom("two", [x(t), foreign], |[x, _]| Ok(x.clone()), |_, _, g| [g, g]);
        |t| t.from_scalars(&[t.scalar(1.0), other.scalar(1.0)]);
        |t| t.scalar(1.0) + other.scalar(1.0);
        |t| t.scalar(1.0) * other.scalar(1.0);
        |t| t.scalar(1.0).atan2(other.scalar(1.0));
        |t| t.scalar(1.0).clamp(0.0, other.scalar(1.0));
        |t| t.scalar(1.0) * foreign;
        |t| map.of([x(t).broadcast_to([1 << 32, 2, 3])]);
    }
    at_a_line_of_the_user! {
        |t| x(t) * failed;
        |t| failed * x(t);
        |t| x(t).matmul(failed);
        |t| x(t).addcmul(failed, x(t), 1.0);
        |t| x(t).clamp(0.0, failed);
        |t| x(t).conv2d(failed, None, Conv2dOptions::default());
        |t| cat(&[x(t), failed], 0);
        |t| stack(&[x(t), failed], 0);
        |t| einsum("ij,jk->ik", &[x(t), failed]);
        |t| custom("two", [x(t), failed], |[x, _]| Ok(x.clone()), |_, _, g| [g, g]);
        |t| map.of([failed * x(t)]);
        |t| t.from_scalars(&[failed.sum()]);
        |t| t.scalar(1.0) * failed.sum();
        |t| t.scalar(1.0) * failed;
        |t| x(t).sum().grad(failed);
    }
}

#[test]
#[rustfmt::skip]
fn of_derivatives() {
    let other = T::new();
    let foreign = x(&other);
    let (a, b) = (Tensor::<N>::ones([2, 3]), Tensor::<N>::ones([4]));
    let found = x(&other).sum().backward().unwrap();
    let param = Param::new(a.clone());
    at_their_lines! {
        |t| x(t).detach().sum().backward();
        |_t| Scalar::<N>::constant(1.0).backward();
        |t| x(t).sum().backward_keeping(&[foreign]);
        |t| x(t).sum().grad(foreign);
        |t| x(t).sum().grad([x(t), foreign]);
        |t| x(t).sum().jvp(foreign, a.clone());
        |t| x(t).sum().jvp(x(t), b.clone());
        |t| x(t).sum().jvp([x(t), x(t)], [a.clone(), b.clone()]);
        |t| x(t).sum().jvp(vec![x(t), x(t)], vec![a.clone()]);
        |t| x(t).sum().jvp((x(t), vec![t.scalar(1.0)]), (a.clone(), vec![]));
        |t| x(t).jvp(x(t), b.clone());
        |t| x(t).vjp(b.clone());
        |t| x(t).grad(x(t), x(t).t());
        |t| x(t).grad(x(t), foreign);
        |t| found.of(x(t));
        |t| found.of(t.scalar(1.0));
        |_t| found.of(&param);
        |_t| found.of(other.constant(1.0));
        |_t| of(&param).accumulate(&of_another_shape(&param));
        |_t| gradient(|_, x| x.reshape([7]).sum(), a.clone());
        |_t| value_and_gradient(|_, x| x.reshape([7]).sum(), a.clone());
        |_t| vjp(|_, x| x.reshape([7]), a.clone(), a.clone());
        |_t| vjp(|_, x| x, a.clone(), b.clone());
        |_t| jvp(|_, x| x, a.clone(), b.clone());
        |_t| jvp(|_, x| x[0], vec![a.clone()], vec![a.clone(), a.clone()]);
        |_t| hvp(|_, x| x.square().sum(), a.clone(), b.clone());
        |_t| hvp(|_, x| x[0].square().sum(), vec![a.clone()], vec![]);
        |_t| hvp(|_, x| custom_numeric("once", [x], |[x]| Ok(x.clone()), |_, _, g| Ok([g.clone()])).sum(), a.clone(), a.clone());
        |_t| jacobian(|_, x| x.reshape([7]), a.clone());
        |_t| jacobian(|_, x| x.broadcast_to([1 << 20, 2, 3]), Tensor::<N>::ones([1 << 20, 2, 3]));
        |_t| hessian(|_, x| x.sum(), Tensor::<N>::ones([1 << 25]));
        |_t| hessian(|_, x| x.reshape([7]).sum(), a.clone());
        |_t| check(|_, x| x.reshape([7]).sum(), a.clone());
        |_t| check_with(|_, x| x.reshape([7]).sum(), a.clone(), &Check::default());
        |t| t.to_dot(&DotOptions { values: true, gradients: DotGradients::From(other.scalar(1.0)) });
        |t| t.to_dot(&DotOptions { values: true, gradients: DotGradients::From(t.scalar(1.0).detach()) });
    }
}

fn of(param: &Param<N>) -> Gradients<N> {
    T::new().param(param).sum().backward().unwrap()
}

fn of_another_shape(param: &Param<N>) -> Gradients<N> {
    let mut found = of(param);
    found.for_each_param_mut(|gradient| *gradient = Tensor::zeros([7]));
    found
}

#[test]
#[rustfmt::skip]
fn of_programs() {
    let (a, b) = (Tensor::<N>::ones([2, 3]), Tensor::<N>::ones([4]));
    let mut numbers = Program::record(&vec![1.0_f64, 2.0], |_, x| x[0] * x[1]).unwrap();
    let mut vector = Program::record_vector(&vec![1.0_f64, 2.0], |t, x| t.from_scalars(&x)).unwrap();
    let mut tensor = Program::record(&a, |_, x| x.square().sum()).unwrap();
    let mut row = Program::record_vector(&a, |_, x| x.square()).unwrap();
    let (count, growing) = (Cell::new(0), Cell::new(1));
    let mut fickle = Program::record(&1.0_f64, |t, x| if count.replace(count.get() + 1) > 0 { x + t.var([1.0, 2.0]).item() } else { x }).unwrap();
    let mut longer = Program::record_vector(&1.0_f64, |t, x| t.from_scalars(&vec![x; growing.replace(2)])).unwrap();
    let mut picky = Program::record(&a, |_, x| x.reshape([6]).sum()).unwrap();
    let mut data = Program::record(&(1.0_f64, vec![1.0_f64]), |_, (a, x)| a * x[0]).unwrap();
    let mut model = ModelProgram::record(&Param::new(a.clone()), &a, |model, t, x| (t.param(model) * x).sum()).unwrap();
    let (x, y) = (vec![1.0, 2.0], vec![1.0]);
    let (xs, ys) = ([x.clone(), x.clone()], [x.clone(), y.clone()]);
    let of = |n: usize| vec![(x.clone(), x.clone()); n];
    at_their_lines! {
        |_t| Program::record(&a, |_, x| x.reshape([7]).sum());
        |_t| Program::record_vector(&a, |_, x| x.reshape([7]));
        |_t| longer.jacobian(&1.0);
        |_t| numbers.hvp(&x, &y);
        |_t| numbers.jvp(&x, &y);
        |_t| tensor.hvp(&a, &b);
        |_t| tensor.jvp(&a, &b);
        |_t| vector.jvp(&x, &y);
        |_t| row.jvp(&a, &b);
        |_t| data.sum(&1.0, &[vec![1.0], vec![1.0, 2.0]]);
        |_t| numbers.batch(&xs).value(&mut [0.0]);
        |_t| numbers.batch(&ys).value(&mut [0.0; 2]);
        |_t| numbers.batch(&xs).gradient(&mut [x.clone()]);
        |_t| numbers.batch(&xs).gradient(&mut [x.clone(), y.clone()]);
        |_t| numbers.batch(&xs).value_and_gradient(&mut [(0.0, x.clone()), (0.0, y.clone())]);
        |_t| numbers.batch(&xs).hvp(&xs[..1], &mut of(2));
        |_t| numbers.batch(&xs).hvp(&ys, &mut of(2));
        |_t| numbers.batch(&xs).hvp(&xs, &mut of(1));
        |_t| numbers.batch(&xs).hvp(&xs, &mut [(x.clone(), y.clone()), (x.clone(), x.clone())]);
        |_t| numbers.batch(&xs).jvp(&xs[..1], &mut [(0.0, 0.0); 2]);
        |_t| numbers.batch(&xs).jvp(&ys, &mut [(0.0, 0.0); 2]);
        |_t| numbers.batch(&xs).jvp(&xs, &mut [(0.0, 0.0)]);
        |_t| vector.batch(&xs).values(&mut [0.0]);
        |_t| vector.batch(&xs).jvp(&xs, &mut [0.0]);
        |_t| vector.batch(&xs).jacobian(&mut [0.0]);
        |_t| tensor.batch(std::slice::from_ref(&a)).gradient(&mut [b.clone()]);
        |_t| ModelProgram::record(&Param::new(a.clone()), &a, |model, t, x| (t.param(model).reshape([7]) * x).sum());
    }
    at_a_line_of_the_user! {
        |_t| fickle.gradient(&1.0);
        |_t| picky.value(&b);
        |_t| picky.gradient(&b);
        |_t| picky.value_and_gradient(&b);
        |_t| picky.hvp(&b, &b);
        |_t| picky.hessian(&b);
        |_t| picky.jvp(&b, &b);
        |_t| model.value(&Param::new(a.clone()), &b);
        |_t| model.value_and_gradients(&Param::new(b.clone()), &a);
    }
}

#[test]
#[rustfmt::skip]
fn of_losses_layers_and_rules() {
    let rng = &mut StdRng::seed_from_u64(0);
    let param = || Param::new(Tensor::<N>::ones([2, 3]));
    let wrong = Tensor::<N>::ones([7]);
    let deep = RecurrentConfig { layers: 2, bidirectional: true, ..RecurrentConfig::default() };
    let lstm = Lstm::<N>::with_config(4, 3, deep, rng);
    let stacked = Sequential::<N>::new().with(nn::Linear::new(4, 3, rng));
    let attention = nn::MultiheadAttention::<N>::new(4, 2, rng);
    let words = nn::Embedding::<N>::new(3, 2, rng);
    let mut sgd = Sgd::<N>::new(0.1);
    let (mut one, mut two, mut other) = (vec![param()], vec![param(), param()], vec![Param::new(wrong.clone())]);
    let of = |model: &[Param<N>]| {
        let tape = T::new();
        model.iter().map(|param| tape.param(param).sum()).sum::<Scalar<'_, N>>().backward().unwrap()
    };
    let (first, second, third, reshaped) = (of(&one), of(&two), of(&other), of_another_shape(&one[0]));
    sgd.step(&mut one, &first).unwrap();
    at_their_lines! {
        |t| loss::mse(x(t), &wrong);
        |t| loss::mse_each(x(t), &wrong);
        |t| loss::l1(x(t), &wrong);
        |t| loss::l1_each(x(t), &wrong);
        |t| loss::huber(x(t), &wrong, 1.0);
        |t| loss::huber_each(x(t), &wrong, 1.0);
        |t| loss::smooth_l1(x(t), &wrong, 1.0);
        |t| loss::bce(x(t), &wrong);
        |t| loss::bce_each(x(t), &wrong);
        |t| loss::bce_with_logits(x(t), &wrong);
        |t| loss::bce_with_logits_each(x(t), &wrong);
        |t| loss::kl_div(x(t), &wrong);
        |t| loss::kl_div_each(x(t), &wrong);
        |t| loss::cross_entropy(x(t), index(5));
        |t| loss::cross_entropy_each(x(t), index(5));
        |t| loss::nll(x(t), index(5));
        |t| loss::nll_each(x(t), index(5));
        |t| loss::weighted_mean(x(t), &wrong);
        |t| lstm.forward(x(t));
        |t| lstm.forward_with_state(x(t), None);
        |t| lstm.forward_with_lengths(x(t), index(5), None);
        |t| stacked.forward(x(t));
        |t| attention.forward(x(t), x(t), x(t));
        |t| attention.forward_self(x(t), &nn::AttentionMask::causal());
        |t| words.forward(t, index(5));
        |_t| summary_of(&one, |t| x(t).reshape([7]));
        |_t| sgd.step(&mut two, &second);
        |_t| sgd.step(&mut other, &third);
        |_t| Sgd::new(0.1).step(&mut one, &reshaped);
        |_t| optim::Adam::new(0.1).step(&mut one, &reshaped);
        |_t| Optimizer::step(&mut Sgd::new(0.1), &mut two, &first);
        |_t| Optimizer::step(&mut sgd, &mut other, &third);
        |_t| boxed().step(&mut two, &third);
        |_t| optim::Adam::new(0.1).step(&mut two, &third);
    }
}

fn boxed() -> Box<dyn Optimizer<N>> {
    Box::new(Sgd::new(0.1))
}
