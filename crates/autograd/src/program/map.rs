//! A scalar function as an elementwise operation on tensors: one pass over the elements, forward and reverse.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Mutex;

use smallvec::{SmallVec, smallvec};

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::ops::custom::{self, CustomRule, Handles};
use crate::program::compiled::compiled;
use crate::program::data::{Data, Ends};
use crate::program::execution::lanes::{into_inner, rows};
use crate::program::fusion::kernel::{self, ColumnSource, ColumnTarget};
use crate::program::trace::budget::Budget;
use crate::program::trace::cache::{self, EagerRun, PathCache, Rerun, ResultKind, SideExits, Targets, Trace};
use crate::program::trace::eager;
use crate::program::trace::record::{Given, gradient};
use crate::reverse::recorded;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::tensor::buffer::Buffer;
use crate::var::Var;

/// An elementwise operation made of a function of numbers: fused, vectorised, differentiable to any order.
///
/// The function may branch on its numbers, element by element.
///
/// Keep the map: it records its function once, for all tensors and all tapes.
///
/// ```
/// use autograd::{Map, Tape};
///
/// let kernel = Map::new("kernel", |[x, y]| if x < y { (x - y).exp() } else { 1.0 / (1.0 + x - y) });
/// let tape = Tape::<f64>::new();
/// let (x, y) = (tape.var([0.0, 2.0]), tape.var([1.0, 1.0]));
/// let z = kernel.of([x, y]);
/// assert_eq!(z.value()?.to_vec(), [(-1.0_f64).exp(), 0.5]);
/// assert_eq!(z.sum().backward()?.of(x)?.to_vec(), [(-1.0_f64).exp(), -0.25]);
/// # Ok::<(), autograd::Error>(())
/// ```
pub struct Map<T: Float, const N: usize>(Rc<Mapped<T, N>>);

type ElementFunction<T, const N: usize> = dyn for<'t> Fn([Scalar<'t, T>; N]) -> Scalar<'t, T>;

struct Mapped<T: Float, const N: usize> {
    name: &'static str,
    function: Rc<ElementFunction<T, N>>,
    state: RefCell<MapState<T>>,
    /// The derivatives with respect to each operand, once a derivative is differentiated.
    slopes: OnceCell<[Map<T, N>; N]>,
}

/// What is known of the function, and what it is run on.
struct MapState<T: Float> {
    paths: PathCache<T>,
    budget: Budget,
    tape: Tape<T>,
}

impl<T: Float> Default for MapState<T> {
    fn default() -> Self {
        MapState { paths: PathCache::default(), budget: Budget::default(), tape: Tape::for_one_run() }
    }
}

impl<T: Float, const N: usize> Clone for Map<T, N> {
    fn clone(&self) -> Self {
        Map(self.0.clone())
    }
}

impl<T: Float, const N: usize> Map<T, N> {
    /// The operation `name`, whose value is `f` of an element of each operand.
    pub fn new(name: &'static str, f: impl for<'t> Fn([Scalar<'t, T>; N]) -> Scalar<'t, T> + 'static) -> Self {
        Self::shared(name, Rc::new(f))
    }

    fn shared(name: &'static str, function: Rc<ElementFunction<T, N>>) -> Self {
        Map(Rc::new(Mapped { name, function, state: RefCell::default(), slopes: OnceCell::new() }))
    }

    /// f(x…), element by element.
    ///
    /// Shapes: the operands broadcast.
    ///
    /// # Errors
    /// When shapes do not broadcast; when `f` does anything but compute with numbers.
    #[track_caller]
    pub fn of<'t>(&self, x: [Var<'t, T>; N]) -> Var<'t, T> {
        let mut shape = Shape::default();
        for x in x {
            shape = match shape.broadcast(&x.shape()) {
                Ok(shape) => shape,
                Err(kind) => return x.fail(self.0.name, kind),
            };
        }
        if !Buffer::<T>::has_room(shape.len()) {
            return x[0].fail(self.0.name, ErrorKind::Memory { shape });
        }
        let fitting = x.map(|x| if x.shape() == shape { x } else { x.broadcast_to(shape.clone()) });
        let [y] = custom::record(Rc::new(self.clone()), &fitting);
        y
    }

    /// The result of `kind` at every element: `results` tensors of the operands' shape.
    fn columns(&self, kind: ResultKind, operands: &[Tensor<T>], results: usize) -> Result<SmallVec<[Tensor<T>; 2]>> {
        let mut out: SmallVec<[Tensor<T>; 2]> = smallvec![];
        for _ in 0..results {
            out.push(Tensor::build(operands[0].shape().clone(), |_| {}).map_err(Error::at(self.0.name))?);
        }
        let len = operands[0].len();
        if len == 0 {
            return Ok(out);
        }
        let columns: SmallVec<[ColumnSource<'_, T>; 4]> =
            operands.iter().map(|x| ColumnSource::of(x, &x.layout)).collect();
        let load = |i: usize, numbers: &mut Vec<T>| numbers.extend(columns.iter().map(|column| column.at(i)));
        let mut state = self.0.state.borrow_mut();
        let MapState { paths, budget, tape } = &mut *state;
        let mut function = MapFunction { map: &self.0, tape };
        let at = match paths.known(kind) {
            Some(at) => at,
            None => {
                let mut numbers = Vec::with_capacity(columns.len());
                load(0, &mut numbers);
                paths.record(kind, &numbers, &mut function, budget)?
            }
        };
        let ready = paths.must_run_in_lanes(at, kind)?;
        let side_exits = Mutex::new(SideExits::new());
        let mut slices: SmallVec<[ColumnTarget<'_, T>; 4]> =
            out.iter_mut().map(|out| ColumnTarget::Each(out.as_mut_slice())).collect();
        kernel::run(ready, &columns, (0, len), &mut slices, &side_exits);
        drop(slices);
        let mut slices: SmallVec<[&mut [T]; 4]> = out.iter_mut().map(Tensor::as_mut_slice).collect();
        let mut store = |i: usize, results: &[T]| {
            slices.iter_mut().zip(results).for_each(|(out, &result)| out[i] = result);
        };
        let tools = (&mut function as &mut dyn cache::TracedFunction<T>, budget);
        paths.regroup(kind, (at, len), into_inner(side_exits), &mut { load }, tools, &mut |rerun| match rerun {
            Rerun::On(ready, inputs, side_exits) => {
                let load = rows(|k: usize, numbers: &mut Vec<T>| load(inputs[k], numbers));
                ready.each(0..inputs.len(), &load, &mut |k, results| match results {
                    Ok(results) => store(inputs[k], results),
                    Err(ordinal) => side_exits.push((inputs[k], ordinal)),
                });
            }
            Rerun::Done(i, results) => store(i, &results.numbers),
        })?;
        drop(slices);
        Ok(out)
    }

    fn slopes(&self) -> &[Map<T, N>; N] {
        self.0.slopes.get_or_init(|| {
            std::array::from_fn(|i| {
                let function = self.0.function.clone();
                Self::shared(self.0.name, slope(function, i))
            })
        })
    }
}

/// The function of a map.
struct MapFunction<'m, T: Float, const N: usize> {
    map: &'m Mapped<T, N>,
    tape: &'m mut Tape<T>,
}

impl<T: Float, const N: usize> cache::TracedFunction<T> for MapFunction<'_, T, N> {
    fn record(&mut self, kind: ResultKind, numbers: &[T]) -> Result<Trace<T>> {
        let tape = Tape::guarding();
        let inputs: Vec<_> = numbers.iter().map(|&number| tape.scalar(number)).collect();
        let y = (self.map.function)(std::array::from_fn(|i| inputs[i]));
        y.ensure()?;
        let [x, others] = [&inputs[..N], &inputs[N..]].map(|part| Ends::numbers(part.to_vec()));
        let inputs = Ends::numbers(inputs);
        (compiled::<T>().derived)(
            &tape,
            kind,
            Given { inputs: &inputs, x: &x, others: &others, params: &[], shared: None },
            Ends::number(y),
        )
    }

    fn run(&mut self, kind: ResultKind, numbers: &[T], results: &mut Data<T>, _: &mut Targets) -> Result<EagerRun> {
        self.tape.clear();
        results.clear();
        let tape = &*self.tape;
        let y = (self.map.function)(std::array::from_fn(|i| tape.scalar(numbers[i])));
        y.ensure()?;
        match kind {
            ResultKind::Value => results.numbers.push(y.number),
            _ => eager::gradient_of(tape, N, y * numbers[N], results)?,
        }
        Ok(eager::ran(tape, u64::from(kind != ResultKind::Value)))
    }
}

/// ∂f/∂xᵢ.
fn slope<T: Float, const N: usize>(f: Rc<ElementFunction<T, N>>, i: usize) -> Rc<ElementFunction<T, N>> {
    Rc::new(move |x| {
        let y = f(x);
        match x[i].on_tape().map(|tape| gradient(tape, y, &Ends::number(x[i]), recorded)) {
            Some(Ok(slope)) => slope.numbers[0],
            Some(Err(error)) => x[i].fail(error),
            None => Scalar::constant(T::ZERO),
        }
    })
}

impl<T: Float, const N: usize> CustomRule<T> for Map<T, N> {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn value(&self, x: &[Tensor<T>]) -> Result<SmallVec<[Tensor<T>; 2]>> {
        self.columns(ResultKind::Value, x, 1)
    }

    fn vjp<'t>(&self, x: &[Var<'t, T>], _: &[Var<'t, T>], g: &[Var<'t, T>]) -> Result<Handles<'t, T>> {
        let tape = g[0].tape;
        if tape.is_recording() {
            let x: [Var<'t, T>; N] = std::array::from_fn(|i| x[i]);
            return Ok(self.slopes().iter().map(|slope| g[0].masked_mul(slope.of(x))).collect());
        }
        let operands = x.iter().chain(g).map(|x| x.value()).collect::<Result<SmallVec<[Tensor<T>; 4]>>>()?;
        Ok(self
            .columns(ResultKind::Weighted, &operands, N)?
            .into_iter()
            .map(|gradient| tape.constant(gradient))
            .collect())
    }

    fn shapes(&self, x: &[Tensor<T>]) -> Option<SmallVec<[Shape; 2]>> {
        Some(smallvec![x[0].shape().clone()])
    }

    fn is_differentiable_again(&self) -> bool {
        true
    }

    fn is_numeric(&self) -> bool {
        true
    }
}

impl<T: Float, const N: usize> std::fmt::Debug for Map<T, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// # Elementwise programs
impl<'t, T: Float> Scalar<'t, T> {
    /// The tape, if this is recorded.
    fn on_tape(self) -> Option<&'t Tape<T>> {
        self.tape.filter(|_| self.index < crate::tape::LIMIT)
    }

    fn fail(self, error: Error) -> Self {
        self.tape.map_or(self, |tape| Scalar::failed(tape, error))
    }
}
