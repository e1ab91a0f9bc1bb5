//! The recording as a graph: a `petgraph` graph for programs, DOT for the eye.

use std::fmt;
use std::panic::Location;

pub use petgraph;
use petgraph::Graph;
use petgraph::dot::{Config, Dot};
use petgraph::graph::NodeIndex;

use crate::error::{Error, ErrorKind, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::place::{Operand, Range, short};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tape::{Step, Tape};
use crate::tensor::Tensor;
use crate::var::Var;

/// One operation of a recording.
///
/// Displays as a label of a few lines: the operation with its name, the shape, the line of the user's code.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    /// The operation.
    pub op: &'static str,
    /// The name that [`Var::named`](crate::Var::named) gave.
    pub name: Option<String>,
    /// The shape of its value; no axes for a scalar.
    pub shape: Shape,
    /// What it is in the graph.
    pub kind: NodeKind,
    /// Whether a derivative can flow through it.
    pub tracked: bool,
    /// The caller's line, where the tape kept it.
    pub location: Option<&'static Location<'static>>,
    /// The section of the recording it is in: see [`Tape::section`].
    pub section: usize,
    /// Operands that are plain numbers, with their places among the operands.
    pub numbers: Vec<(usize, f64)>,
}

/// What a node is in the graph of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum NodeKind {
    Variable,
    Parameter,
    Constant,
    Operation,
}

/// The use of a value by an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphEdge {
    /// Which operand it is.
    pub operand: usize,
}

impl fmt::Display for GraphNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            NodeKind::Variable => "variable",
            NodeKind::Parameter => "parameter",
            NodeKind::Constant => "constant",
            NodeKind::Operation => self.op,
        };
        f.write_str(what)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if self.shape.rank() > 0 {
            write!(f, " {}", self.shape)?;
        }
        for (operand, number) in &self.numbers {
            write!(f, "\noperand {operand}: {}", short(*number))?;
        }
        self.location.map_or(Ok(()), |location| write!(f, "\n{}:{}", location.file(), location.line()))
    }
}

/// What [`Tape::to_dot`] writes besides operations, names, shapes and lines.
#[derive(Debug, Clone, Copy)]
pub struct DotOptions<'a, 't, T: Float = f32> {
    /// The value of a scalar and the range of a tensor.
    pub values: bool,
    /// Whose gradients to write.
    pub gradients: DotGradients<'a, 't, T>,
}

impl<T: Float> Default for DotOptions<'_, '_, T> {
    fn default() -> Self {
        Self { values: false, gradients: DotGradients::None }
    }
}

/// The gradients whose norms [`Tape::to_dot`] writes.
#[derive(Debug, Clone, Copy, Default)]
pub enum DotGradients<'a, 't, T: Float = f32> {
    /// None.
    #[default]
    None,
    /// Those that a reverse sweep found, of variables and parameters.
    Found(&'a Gradients<T>),
    /// Those of every operation, from a reverse sweep that starts here.
    From(Scalar<'t, T>),
}

impl<T: Float> Tape<T> {
    /// The recording as a graph, for any algorithm of `petgraph`: one node per operation, in the order of execution, and
    /// one edge from each operand to what uses it.
    ///
    /// ```
    /// use autograd::{Tape, graph::NodeKind};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0]).named("x");
    /// let _y = (x * x).sum();
    /// let graph = tape.graph();
    /// let leaf = graph.node_indices().next().unwrap();
    /// assert_eq!((graph[leaf].kind, graph[leaf].name.as_deref()), (NodeKind::Variable, Some("x")));
    /// assert_eq!(graph.neighbors(leaf).count(), 2);
    /// ```
    pub fn graph(&self) -> Graph<GraphNode, GraphEdge> {
        let mut graph = Graph::with_capacity(self.len(), self.len());
        let mut parameters = Vec::new();
        self.for_each_param(|_, slot| parameters.push(slot));
        parameters.sort_unstable();
        for position in 0..self.len() {
            let operands = self.operands(position);
            let node = graph.add_node(self.graph_node(position, &operands, &parameters));
            for (operand, from) in operands.iter().enumerate() {
                if let Operand::Entry(from) = *from {
                    graph.add_edge(NodeIndex::new(from), node, GraphEdge { operand });
                }
            }
        }
        graph
    }

    fn graph_node(&self, position: usize, operands: &[Operand<T>], parameters: &[u32]) -> GraphNode {
        let place = self.place(position);
        let tracked = self.is_tracked(position);
        let kind = match (self.entry(position).step(), self.slot_at(position)) {
            (Step::Leaf, _) => NodeKind::Variable,
            (_, Some(slot)) if parameters.binary_search(&slot).is_ok() => NodeKind::Parameter,
            (Step::Node, _) if operands.is_empty() && tracked => NodeKind::Variable,
            (Step::Node, _) if operands.is_empty() => NodeKind::Constant,
            _ => NodeKind::Operation,
        };
        let number = |(k, operand): (usize, &Operand<T>)| match operand {
            Operand::Number(number) => Some((k, number.to_f64())),
            Operand::Entry(_) => None,
        };
        GraphNode {
            op: place.op,
            name: place.name,
            shape: self.shape_at(position),
            kind,
            tracked,
            location: place.location,
            section: self.section_of(position),
            numbers: operands.iter().enumerate().filter_map(number).collect(),
        }
    }

    /// The recording in the DOT language of Graphviz: `dot -Tsvg`. Parameters and variables are boxes, what no gradient
    /// flows through is grey.
    ///
    /// ```
    /// use autograd::{Tape, graph::DotOptions};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([1.0_f32, 2.0]).named("x");
    /// let _y = x.tanh();
    /// assert!(tape.to_dot(&DotOptions::default())?.contains("variable x [2]"));
    /// # Ok::<(), autograd::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Scalar::backward`], if gradients from a loss are asked for; values in a program's recording.
    #[track_caller]
    pub fn to_dot(&self, options: &DotOptions<'_, '_, T>) -> Result<String> {
        if options.values {
            self.refuse_report("to_dot")?;
        }
        let norms = self.gradient_norms(&options.gradients)?;
        let labelled = self.graph().map_owned(
            |index, node| {
                let mut label = node.to_string();
                if options.values {
                    label += &format!("\nvalue {}", Range::of(&self.value_at(index.index())).numbers());
                }
                if let Some(norm) = norms.get(index.index()).copied().flatten() {
                    label += &format!("\n|gradient| {}", short(norm));
                }
                (node, label)
            },
            |_, edge| edge,
        );
        let attributes = |_, (_, (node, label)): (NodeIndex, &(GraphNode, String))| {
            let shape = if node.kind == NodeKind::Operation { "ellipse" } else { "box" };
            let colour = if node.tracked { "black" } else { "gray60" };
            format!("label = \"{}\" shape = {shape} color = {colour} fontcolor = {colour}", escaped(label))
        };
        let plain = [Config::NodeNoLabel, Config::EdgeNoLabel];
        let dot = Dot::with_attr_getters(&labelled, &plain, &|_, _| String::new(), &attributes);
        Ok(format!("{:?}", dot))
    }

    /// The norm of the gradient at each position where there is one.
    #[track_caller]
    fn gradient_norms(&self, source: &DotGradients<'_, '_, T>) -> Result<Vec<Option<f64>>> {
        match source {
            DotGradients::None => Ok(Vec::new()),
            DotGradients::Found(gradients) => Ok(self.norms(gradients)),
            DotGradients::From(loss) => {
                if !std::ptr::eq(loss.require_tape("to_dot")?, self) {
                    return Err(Error::new("to_dot", ErrorKind::TwoTapes));
                }
                Ok(self.norms(&self.every_gradient(loss.index)?))
            }
        }
    }

    fn norms(&self, gradients: &Gradients<T>) -> Vec<Option<f64>> {
        let mut norms = vec![None; self.len()];
        if gradients.recording != self.id() {
            return norms;
        }
        for (position, g) in gradients.scalars.iter().enumerate().take(self.len()) {
            norms[position] = self.slot_at(position).is_none().then(|| g.to_f64().abs());
        }
        for (slot, g) in gradients.found.nodes.iter().filter(|(slot, _)| (*slot as usize) < self.node_count()) {
            norms[self.entry_of(*slot)] = Some(norm(g));
        }
        norms
    }

    /// The reverse sweep from a scalar, keeping the gradient of every node.
    #[track_caller]
    pub(crate) fn every_gradient(&self, root: u32) -> Result<Gradients<T>> {
        let kept: Vec<Var<'_, T>> = (0..self.node_count() as u32).map(|slot| Var::new(self, slot)).collect();
        let loss = Scalar { tape: Some(self), number: self.entry(root as usize).value, index: root };
        loss.backward_keeping(&kept)
    }
}

fn norm<T: Float>(x: &Tensor<T>) -> f64 {
    x.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt()
}

/// A text inside quotes; lines of a label end with `\l`, which aligns them at the left.
fn escaped(text: &str) -> String {
    let mut label = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\l");
    if label.contains("\\l") {
        label += "\\l";
    }
    label
}

#[cfg(test)]
mod tests {
    use petgraph::algo::toposort;

    use super::*;
    use crate::Param;

    #[test]
    fn dot_shows_names_shapes_values_and_norms() {
        let tape = Tape::<f64>::new();
        let weight = Param::new(Tensor::from([3.0, 4.0]));
        let w = tape.param(&weight).named("w \"0\"");
        let line = line!() - 1;
        let loss = (w * 2.0).sum();
        let options = DotOptions { values: true, gradients: DotGradients::From(loss) };
        let at = |line: u32| format!("{}:{line}", file!());
        let black = "color = black fontcolor = black";
        let expected = [
            "digraph {".to_string(),
            format!(
                "    0 [ label = \"parameter w \\\"0\\\" [2]\\l{}\\lvalue 3 ..= 4\\l|gradient| 2.828427\\l\" shape = box {black}]",
                at(line)
            ),
            format!(
                "    1 [ label = \"mul [2]\\loperand 1: 2\\l{}\\lvalue 6 ..= 8\\l|gradient| 1.414214\\l\" shape = ellipse {black}]",
                at(line + 2)
            ),
            format!(
                "    2 [ label = \"sum [1]\\l{}\\lvalue 14\\l|gradient| 1\\l\" shape = ellipse {black}]",
                at(line + 2)
            ),
            format!(
                "    3 [ label = \"element\\l{}\\lvalue 14\\l|gradient| 1\\l\" shape = ellipse {black}]",
                at(line + 2)
            ),
            "    0 -> 1 [ ]".to_string(),
            "    1 -> 2 [ ]".to_string(),
            "    2 -> 3 [ ]".to_string(),
            "}".to_string(),
        ];
        assert_eq!(tape.to_dot(&options).unwrap().lines().collect::<Vec<_>>(), expected);
        let found = loss.backward().unwrap();
        let text = tape.to_dot(&DotOptions { values: false, gradients: DotGradients::Found(&found) }).unwrap();
        assert_eq!(text.matches("|gradient| 2.828427").count(), 1);
    }

    #[test]
    fn the_graph_keeps_order_kinds_and_repeated_operands() {
        let tape = Tape::<f64>::new();
        let x = tape.scalar(3.0);
        let c = tape.constant([1.0, 2.0]);
        let y = (tape.from_scalars(&[x * x, x]) * c).detach();
        let graph = tape.graph();
        let order: Vec<usize> = toposort(&graph, None).unwrap().into_iter().map(NodeIndex::index).collect();
        assert_eq!(order.len(), tape.len());
        let squared = NodeIndex::new(2);
        let mut operands: Vec<_> =
            graph.edges_directed(squared, petgraph::Incoming).map(|e| e.weight().operand).collect();
        operands.sort_unstable();
        assert_eq!((graph[squared].op, operands), ("mul", vec![0, 1]));
        let last = graph.node_weights().last().unwrap();
        assert_eq!((last.op, last.tracked, last.kind), ("detach", false, NodeKind::Operation));
        assert_eq!(graph[NodeIndex::new(1)].kind, NodeKind::Constant);
        assert_eq!(y.shape(), last.shape);
    }

    #[test]
    fn gradients_of_a_number_on_no_tape_are_an_error() {
        let tape = Tape::<f64>::new();
        let options = DotOptions { values: false, gradients: DotGradients::From(Scalar::constant(1.0)) };
        let (error, line) = (tape.to_dot(&options).unwrap_err(), line!());
        let text = "to_dot: the handle is a plain number and is on no tape: compute it from a variable";
        assert_eq!(error.to_string(), format!("{text}, at {}:{line}", file!()));
    }

    #[test]
    fn rules_leave_no_names_and_no_parameters_behind() {
        let tape = Tape::<f64>::new();
        let (x, param) = (tape.var([2.0]), std::rc::Rc::new(crate::Param::new([3.0])));
        let inner = param.clone();
        let y = crate::custom("odd", [x], |[x]| Ok(x.clone()), move |_, _, g| [(g * g.param(&inner)).named("inner")]);
        y.jvp(x, Tensor::from([1.0])).unwrap();
        y.sum().backward().unwrap();
        let (same, z) = (tape.param(&param), x.exp());
        assert_eq!(same.value().unwrap().to_vec(), [3.0]);
        assert_eq!(z.value().unwrap().to_vec(), [2.0_f64.exp()]);
        assert!(tape.graph().node_weights().all(|node| node.name.is_none()));
    }

    #[test]
    fn a_parameter_that_was_frozen_for_a_while_is_trained_after_it() {
        let tape = Tape::<f64>::new();
        let mut param = crate::Param::new(Tensor::from([3.0]));
        param.freeze();
        let frozen = tape.param(&param).named("frozen");
        assert_eq!(tape.param(&param).slot, frozen.slot);
        assert!(frozen.sum().backward().is_err());
        param.unfreeze();
        let gradients = (tape.param(&param) * frozen).sum().backward().unwrap();
        assert_eq!(gradients.of(&param).unwrap().to_vec(), [3.0]);
    }
}
