//! A model as a table.

use std::fmt;
use std::panic::Location;

use autograd::graph::petgraph::graph::NodeIndex;
use autograd::graph::petgraph::{Direction, Graph};
use autograd::{
    Float, Module, Result, Shape, Tape, Var,
    graph::{GraphEdge, GraphNode, NodeKind},
    module::{Leaf, Path},
};

use crate::ModuleExt;

/// A model as a table: each layer that holds tensors, their shapes, the numbers they hold.
///
/// ```
/// use nn::{Linear, summary};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let mut rng = StdRng::seed_from_u64(0);
/// let model: Vec<Linear> = vec![Linear::new(2, 128, &mut rng), Linear::new(128, 1, &mut rng)];
/// let text = summary(&model).to_string();
/// assert_eq!(text, "\
/// layer  tensors                      parameters
/// ──────────────────────────────────────────────
/// 0      weight [128, 2], bias [128]         384
/// 1      weight [1, 128], bias [1]           129
/// ──────────────────────────────────────────────
/// 513 parameters, 513 trainable, 0 in buffers
/// ");
/// ```
pub fn summary<T: Float>(model: &impl Module<T>) -> Summary {
    let mut summary = Summary::default();
    model.visit(&Path::root(), &mut |path: &Path<'_>, leaf: Leaf<'_, T>| match leaf {
        Leaf::Param(param) => {
            let count = param.shape().len();
            summary.add(path, param.shape(), count);
            summary.parameters += count;
            summary.trainable += if param.is_trainable() { count } else { 0 };
        }
        Leaf::Buffer(buffer) => {
            let value = buffer.value();
            summary.add(path, value.shape(), 0);
            summary.buffers += value.len();
        }
        Leaf::Counter(_) => {
            summary.add(path, &Shape::default(), 0);
            summary.buffers += 1;
        }
        Leaf::Mode(_) | Leaf::Setting(_) | Leaf::Generator(_) => {}
    });
    summary
}

/// A model as a table of what a run of it does, in order: each layer with the shape of its output, and between them the
/// operations that belong to no layer.
///
/// `run` calls the model on whatever it takes, on the tape it is given, which is one [of shapes](Tape::of_shapes): an input
/// is a [`placeholder`](Tape::placeholder), nothing is computed, and the model stays as it is. Nothing is asked of the
/// layers: the recording says which operation used whose parameters, and from which line of the model it was called. A layer
/// that `run` leaves out comes last, without an output; one that it calls twice has its tensors in the first of its rows.
///
/// Indices, such as tokens, are given as numbers, and whether they are in range is not looked at. A custom operation is
/// computed, of NaN.
///
/// ```
/// use autograd::Var;
/// use nn::{Conv2d, Linear, Module, summary_of};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// #[derive(Module)]
/// struct Net { conv: Conv2d, out: Linear }
///
/// impl Net {
///     fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
///         self.out.forward(self.conv.forward(x).relu().flatten_axes(1, -1))
///     }
/// }
///
/// let mut rng = StdRng::seed_from_u64(0);
/// let net = Net { conv: Conv2d::new(1, 4, [3, 3], &mut rng), out: Linear::new(4 * 6 * 6, 10, &mut rng) };
/// let text = summary_of(&net, |tape| net.forward(tape.placeholder([32, 1, 8, 8])))?.to_string();
/// assert_eq!(text, "\
/// layer    output         tensors                        parameters
/// ─────────────────────────────────────────────────────────────────
/// conv     [32, 4, 6, 6]  weight [4, 1, 3, 3], bias [4]          40
/// relu     [32, 4, 6, 6]
/// reshape  [32, 144]
/// out      [32, 10]       weight [10, 144], bias [10]          1450
/// ─────────────────────────────────────────────────────────────────
/// 1490 parameters, 1490 trainable, 0 in buffers
/// ");
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// # Errors
/// Those of the run, and to read a value in it.
pub fn summary_of<T: Float>(
    model: &impl Module<T>,
    run: impl for<'t> FnOnce(&'t Tape<T>) -> Var<'t, T>,
) -> Result<Summary> {
    let tape = Tape::of_shapes();
    for (name, param) in model.named_parameters() {
        tape.param(param).named(name);
    }
    run(&tape).named(RESULT);
    if let Some(failure) = tape.failure() {
        return Err(failure);
    }
    let mut summary = summary(model);
    let mut layers = std::mem::take(&mut summary.layers);
    for stage in stages(&tape.graph()) {
        let layer = stage.layer.as_ref().and_then(|name| layers.iter().position(|layer| layer.name == *name));
        let mut row = layer.map(|place| layers.remove(place)).unwrap_or_else(|| LayerSummary {
            name: stage.layer.unwrap_or_else(|| stage.op.to_string()),
            ..LayerSummary::default()
        });
        row.output = Some(stage.output);
        summary.layers.push(row);
    }
    summary.layers.append(&mut layers);
    Ok(summary)
}

/// The name of the result of a run.
const RESULT: &str = "result";

/// Operations that were called from one place in the model, and share one layer at most.
struct Stage {
    place: (Option<&'static Location<'static>>, usize),
    layer: Option<String>,
    /// The last of them, and its output.
    op: &'static str,
    output: Shape,
}

fn stages(graph: &Graph<GraphNode, GraphEdge>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    // Running averages and the like are beside the way to the result.
    let mut needed = vec![false; graph.node_count()];
    for node in graph.node_indices().rev() {
        if graph[node].name.as_deref() == Some(RESULT) || needed[node.index()] {
            needed[node.index()] = true;
            graph.neighbors_directed(node, Direction::Incoming).for_each(|operand| needed[operand.index()] = true);
        }
    }
    let is_operation = |&node: &NodeIndex| graph[node].kind == NodeKind::Operation && needed[node.index()];
    for node in graph.node_indices().filter(is_operation) {
        let GraphNode { op, location, section, shape: output, .. } = graph[node].clone();
        let place = (location, section);
        let parameters = graph.neighbors_directed(node, Direction::Incoming);
        let name = parameters.filter(|&x| graph[x].kind == NodeKind::Parameter).find_map(|x| graph[x].name.as_deref());
        let layer = name.map(|name| layer_of(name).0.to_string());
        match stages.last_mut() {
            Some(last) if last.place == place && (layer.is_none() || last.layer.is_none() || last.layer == layer) => {
                *last = Stage { place, layer: layer.or(last.layer.take()), op, output };
            }
            _ => stages.push(Stage { place, layer, op, output }),
        }
    }
    stages
}

/// The layer and the name in it of a tensor with this name.
fn layer_of(tensor: &str) -> (&str, &str) {
    tensor.rsplit_once('.').unwrap_or(("", tensor))
}

/// What [`summary`] or [`summary_of`] found; displays as a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// One row for each layer that holds tensors itself; of a run, one for each call and for each operation between.
    pub layers: Vec<LayerSummary>,
    /// Elements of all parameters.
    pub parameters: usize,
    /// Elements of all parameters that are not frozen.
    pub trainable: usize,
    /// Elements of all buffers; a counter is one.
    pub buffers: usize,
}

/// One row of a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerSummary {
    /// The layer, as in the names of its tensors, empty for the model itself; or an operation that belongs to no layer.
    pub name: String,
    /// The shape of what it gave, if it was run.
    pub output: Option<Shape>,
    /// The layer's own parameters and buffers.
    pub tensors: Vec<(String, Shape)>,
    /// Elements of its own parameters.
    pub parameters: usize,
}

impl Summary {
    fn add(&mut self, path: &Path<'_>, shape: &Shape, parameters: usize) {
        let path = path.to_string();
        let (layer, tensor) = layer_of(&path);
        if self.layers.last().is_none_or(|last| last.name != layer) {
            self.layers.push(LayerSummary { name: layer.into(), ..LayerSummary::default() });
        }
        if let Some(last) = self.layers.last_mut() {
            last.tensors.push((tensor.into(), shape.clone()));
            last.parameters += parameters;
        }
    }
}

impl LayerSummary {
    fn cells(&self) -> [String; 4] {
        let tensors: Vec<String> = self.tensors.iter().map(|(name, shape)| format!("{name} {shape}")).collect();
        let output = self.output.as_ref().map_or(String::new(), Shape::to_string);
        let parameters = if self.tensors.is_empty() { String::new() } else { self.parameters.to_string() };
        [self.name.clone(), output, tensors.join(", "), parameters]
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let was_run = self.layers.iter().any(|layer| layer.output.is_some());
        let titles = ["layer", if was_run { "output" } else { "" }, "tensors", "parameters"].map(String::from);
        let rows: Vec<[String; 4]> =
            std::iter::once(titles).chain(self.layers.iter().map(LayerSummary::cells)).collect();
        let widths = [0, 1, 2, 3].map(|k| rows.iter().map(|row| row[k].chars().count()).max().unwrap_or(0));
        let columns: Vec<usize> = (0..4).filter(|&k| k != 1 || was_run).collect();
        let rule = "─".repeat(columns.iter().map(|&k| widths[k] + 2).sum::<usize>() - 2);
        for (k, row) in rows.iter().enumerate() {
            let cell = |&k: &usize| match k {
                3 => format!("{:>1$}", row[k], widths[k]),
                _ => format!("{:1$}", row[k], widths[k]),
            };
            writeln!(f, "{}", columns.iter().map(cell).collect::<Vec<_>>().join("  ").trim_end())?;
            if k == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        writeln!(f, "{rule}")?;
        let Self { parameters, trainable, buffers, .. } = self;
        writeln!(f, "{parameters} parameters, {trainable} trainable, {buffers} in buffers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Embedding, Flatten, Gru, Linear, Lstm, MaxPool2d, Relu, Sequential,
        TransformerConfig, TransformerEncoder,
    };
    use autograd::Tensor;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn buffers_and_frozen_parameters_are_told_apart() {
        let mut norm = BatchNorm1d::<f32>::new(3);
        norm.freeze();
        let summary = summary(&norm);
        assert_eq!((summary.parameters, summary.trainable, summary.buffers), (6, 0, 7));
        let names: Vec<_> = summary.layers[0].tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
        assert_eq!((summary.layers.len(), summary.layers[0].parameters), (1, 6));
    }

    fn rows(summary: &Summary) -> Vec<(&str, String, usize)> {
        let output = |layer: &LayerSummary| layer.output.as_ref().map_or("none".into(), Shape::to_string);
        summary.layers.iter().map(|layer| (&*layer.name, output(layer), layer.parameters)).collect()
    }

    #[test]
    fn layers_in_a_list_have_rows_of_their_own() {
        let mut rng = StdRng::seed_from_u64(0);
        let mut model: Sequential = Sequential::new()
            .with(Linear::new(4, 8, &mut rng))
            .with(BatchNorm1d::new(8))
            .with(Relu)
            .with(Linear::new(8, 8, &mut rng))
            .with(Linear::new(8, 2, &mut rng));
        model.freeze();
        let found = summary_of(&model, |tape| model.forward(tape.placeholder([5, 4]))).unwrap();
        let expected =
            [("0", [5, 8], 40), ("1", [5, 8], 16), ("relu", [5, 8], 0), ("3", [5, 8], 72), ("4", [5, 2], 18)];
        assert_eq!(rows(&found), expected.map(|(name, shape, count)| (name, Shape::from(shape).to_string(), count)));
        assert_eq!((found.parameters, found.trainable), (146, 0));
    }

    #[test]
    fn layers_that_run_twice_or_never() {
        let mut rng = StdRng::seed_from_u64(0);
        let words = Embedding::<f32>::new(10, 3, &mut rng);
        let model = (words, [Linear::new(3, 3, &mut rng), Linear::new(3, 1, &mut rng)]);
        let model = Tied { words: model.0, linears: model.1, dropout: Dropout::new(0.5, &mut rng) };
        let found = summary_of(&model, |tape| {
            let x = model.words.forward(tape, Tensor::from([[1, 2], [3, 4]]));
            let x = model.linears[0].forward(x);
            model.linears[0].forward(x)
        });
        let expected = [("words", "[2, 2, 3]", 30), ("linears.0", "[2, 2, 3]", 12), ("linears.0", "[2, 2, 3]", 0)];
        let found = found.unwrap();
        assert_eq!(rows(&found)[..3], expected.map(|(name, shape, count)| (name, shape.to_string(), count)));
        assert_eq!(rows(&found)[3], ("linears.1", "none".to_string(), 4));
        assert!(summary_of(&model, |tape| tape.var([1.0]).reshape([2])).is_err());
    }

    /// What a run may change in a model besides parameters.
    fn state(model: &impl Module<f32>) -> Vec<String> {
        let mut state = Vec::new();
        model.visit(&Path::root(), &mut |_: &Path<'_>, leaf: Leaf<'_, f32>| match leaf {
            Leaf::Buffer(buffer) => state.push(buffer.value().to_string()),
            Leaf::Counter(counter) => state.push(counter.get().to_string()),
            Leaf::Generator(generator) => state.push(generator.drawn().to_string()),
            _ => {}
        });
        state
    }

    /// The images would take terabytes.
    #[test]
    fn a_model_is_summarised_for_an_input_of_any_size_and_stays_as_it_is() {
        let mut rng = StdRng::seed_from_u64(0);
        let model: Sequential = Sequential::new()
            .with(Conv2d::new(3, 4, [3, 3], &mut rng))
            .with(BatchNorm2d::new(4))
            .with(Relu)
            .with(MaxPool2d::new([2, 2]))
            .with(Flatten)
            .with(Dropout::new(0.5, &mut rng))
            .with(Linear::new(4 * 15 * 15, 2, &mut rng));
        let before = state(&model);
        let found = summary_of(&model, |tape| model.forward(tape.placeholder([1 << 32, 3, 32, 32]))).unwrap();
        let outputs: Vec<String> = rows(&found).into_iter().map(|(_, output, _)| output).collect();
        assert_eq!((&*outputs[0], &*outputs[1]), ("[4294967296, 4, 30, 30]", "[4294967296, 4, 30, 30]"));
        assert_eq!(outputs.last().unwrap(), "[4294967296, 2]");
        assert_eq!((before.len(), state(&model)), (4, before));
    }

    #[test]
    fn sequences_of_any_size_are_summarised() {
        let mut rng = StdRng::seed_from_u64(0);
        let encoder = TransformerEncoder::<f32>::new(2, 8, 2, &TransformerConfig::default(), &mut rng);
        let (lstm, gru) = (Lstm::<f32>::new(8, 6, &mut rng), Gru::<f32>::new(8, 6, &mut rng));
        let last = |found: Summary| found.layers.iter().rev().find_map(|layer| layer.output.clone()).unwrap();
        let found = summary_of(&encoder, |tape| encoder.forward(tape.placeholder([1 << 32, 50, 8]))).unwrap();
        assert_eq!(last(found), [1 << 32, 50, 8].into());
        let found = summary_of(&lstm, |tape| lstm.forward(tape.placeholder([50, 1 << 32, 8]))).unwrap();
        assert_eq!(last(found), [50, 1 << 32, 6].into());
        let found = summary_of(&gru, |tape| gru.forward(tape.placeholder([50, 1 << 32, 8]))).unwrap();
        assert_eq!(last(found), [50, 1 << 32, 6].into());
    }

    #[derive(autograd_derive::Module)]
    struct Tied {
        words: Embedding,
        linears: [Linear; 2],
        dropout: Dropout,
    }
}
