//! Sums of products in Einstein's notation, as products of matrices: the equation is read, axes are named by its letters,
//! and pairs of operands are multiplied, the pair with the smallest result first.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::cat::without_operands;
use super::product::MatMul;
use crate::error::ErrorKind;
use crate::float::Float;
use crate::shape::Shape;
use crate::var::Var;

/// An axis by its letter; those of an ellipsis count from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Ellipsis(std::cmp::Reverse<usize>),
    Letter(char),
}

type Labels = SmallVec<[Label; 4]>;

/// An equation for operands of known shapes.
#[derive(Debug)]
struct Equation {
    operands: Vec<Labels>,
    output: Labels,
    sizes: BTreeMap<Label, usize>,
}

impl Equation {
    fn parse(equation: &str, shapes: &[Shape]) -> Result<Self, String> {
        let text: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
        let (inputs, output) = match text.split_once("->") {
            Some((inputs, output)) => (inputs, Some(output)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = inputs.split(',').collect();
        if terms.len() != shapes.len() {
            return Err(format!("it names {} operands, and {} are given", terms.len(), shapes.len()));
        }
        let operands = terms.iter().zip(shapes).map(|(term, shape)| labels_of_operand(term, shape));
        let operands = operands.collect::<Result<Vec<Labels>, String>>()?;
        let sizes = sizes_of(&operands, shapes)?;
        let output = match output {
            Some(output) => labels_of_output(output, &sizes)?,
            None => implicit_output(&operands),
        };
        Ok(Self { operands, output, sizes })
    }

    fn size(&self, label: &Label) -> usize {
        self.sizes.get(label).copied().unwrap_or(1)
    }

    fn shape(&self, labels: &[Label]) -> Shape {
        labels.iter().map(|label| self.size(label)).collect()
    }
}

/// The letters before and after an ellipsis, and whether there is one.
fn read(term: &str) -> Result<(Vec<char>, Vec<char>, bool), String> {
    let (before, after, has_ellipsis) = match term.split_once("...") {
        Some((before, after)) => (before, after, true),
        None => (term, "", false),
    };
    match before.chars().chain(after.chars()).find(|letter| !letter.is_ascii_alphabetic()) {
        Some(wrong) => Err(format!("{wrong:?} in {term:?} is not a letter")),
        None => Ok((before.chars().collect(), after.chars().collect(), has_ellipsis)),
    }
}

fn labels_of_operand(term: &str, shape: &Shape) -> Result<Labels, String> {
    let (before, after, has_ellipsis) = read(term)?;
    let named = before.len() + after.len();
    if named > shape.rank() || (named < shape.rank() && !has_ellipsis) {
        return Err(format!("{term:?} names {named} axes, and the operand has shape {shape}"));
    }
    let ellipsis = (0..shape.rank() - named).rev().map(|k| Label::Ellipsis(std::cmp::Reverse(k)));
    Ok(before.into_iter().map(Label::Letter).chain(ellipsis).chain(after.into_iter().map(Label::Letter)).collect())
}

/// The size of every label; axes of size one stretch to the others.
fn sizes_of(operands: &[Labels], shapes: &[Shape]) -> Result<BTreeMap<Label, usize>, String> {
    let mut sizes = BTreeMap::new();
    for (labels, shape) in operands.iter().zip(shapes) {
        for (k, (&label, &size)) in labels.iter().zip(shape.iter()).enumerate() {
            let twin = labels[..k].iter().position(|&other| other == label);
            if let Some(other) = twin.map(|twin| shape[twin]).filter(|&other| other != size) {
                return Err(format!("{} has sizes {other} and {size} in one operand", name(label)));
            }
            match sizes.insert(label, size) {
                Some(other) if other != size && other != 1 => {
                    if size != 1 {
                        return Err(format!("{} has sizes {other} and {size}", name(label)));
                    }
                    sizes.insert(label, other);
                }
                _ => {}
            }
        }
    }
    Ok(sizes)
}

fn name(label: Label) -> String {
    match label {
        Label::Letter(letter) => format!("{letter:?}"),
        Label::Ellipsis(_) => "an axis of the ellipsis".to_string(),
    }
}

fn labels_of_output(term: &str, sizes: &BTreeMap<Label, usize>) -> Result<Labels, String> {
    let (before, after, has_ellipsis) = read(term)?;
    let ellipsis = sizes.keys().copied().filter(|label| has_ellipsis && matches!(label, Label::Ellipsis(_)));
    let [before, after] = [before, after].map(|letters| letters.into_iter().map(Label::Letter));
    let output: Labels = before.chain(ellipsis).chain(after).collect();
    for (k, &label) in output.iter().enumerate() {
        if !sizes.contains_key(&label) {
            return Err(format!("{} of the output is in no operand", name(label)));
        }
        if output[..k].contains(&label) {
            return Err(format!("{} is in the output twice", name(label)));
        }
    }
    Ok(output)
}

/// The ellipsis, then the letters that occur once, in order.
fn implicit_output(operands: &[Labels]) -> Labels {
    let mut counts = BTreeMap::new();
    operands.iter().flatten().for_each(|&label| *counts.entry(label).or_insert(0) += 1);
    let stays = |&(&label, &count): &(&Label, &i32)| count == 1 || matches!(label, Label::Ellipsis(_));
    counts.iter().filter(stays).map(|(&label, _)| label).collect()
}

/// An operand with an axis for each of its labels, no label twice.
#[derive(Clone)]
struct Labelled<'t, T: Float> {
    x: Var<'t, T>,
    labels: Labels,
}

impl<'t, T: Float> Labelled<'t, T> {
    /// Diagonals along repeated labels, and without axes of size one that meet larger ones.
    #[track_caller]
    fn new(mut x: Var<'t, T>, labels: &Labels, equation: &Equation) -> Self {
        let mut labels = labels.clone();
        while let Some((first, again)) = repeated(&labels) {
            x = x.diagonal(0, first as isize, again as isize);
            let label = labels.remove(again);
            labels.remove(first);
            labels.push(label);
        }
        let shape = x.shape();
        let stretched = |axis: usize| shape[axis] == 1 && equation.size(&labels[axis]) != 1;
        let kept: SmallVec<[usize; 4]> = (0..shape.rank()).filter(|&axis| !stretched(axis)).collect();
        let x = x.in_shape(&kept.iter().map(|&axis| shape[axis]).collect());
        Self { x, labels: kept.iter().map(|&axis| labels[axis]).collect() }
    }

    /// Summed over the labels that nobody else wants.
    #[track_caller]
    fn summed(self, wanted: &[Label]) -> Self {
        let is_summed = |label: &Label| !wanted.contains(label);
        let axes: SmallVec<[isize; 4]> =
            (0..self.labels.len()).filter(|&axis| is_summed(&self.labels[axis])).map(|axis| axis as isize).collect();
        if axes.is_empty() {
            return self;
        }
        let x = self.x.sum_axes(&axes[..]);
        Self { x, labels: self.labels.into_iter().filter(|label| !is_summed(label)).collect() }
    }

    /// The axes in the order of `labels`, which are these in another order.
    #[track_caller]
    fn ordered(self, labels: &[Label]) -> Var<'t, T> {
        if self.labels[..] == *labels {
            return self.x;
        }
        let place = |label: &Label| self.labels.iter().position(|own| own == label).map(|axis| axis as isize);
        let order: SmallVec<[isize; 4]> = labels.iter().filter_map(place).collect();
        self.x.permute(&order[..])
    }

    /// The product with another operand, summed over the labels that are not `wanted`.
    #[track_caller]
    fn multiplied(self, other: Self, wanted: &[Label], equation: &Equation) -> Self {
        let (a, b) = (self.labels.clone(), other.labels.clone());
        let of = |labels: &Labels, keep: &dyn Fn(&Label) -> bool| -> Labels {
            labels.iter().copied().filter(|label| keep(label)).collect()
        };
        let batch = of(&a, &|label| b.contains(label) && wanted.contains(label));
        let summed = of(&a, &|label| b.contains(label) && !wanted.contains(label));
        let rows = of(&a, &|label| !b.contains(label) && wanted.contains(label));
        let columns = of(&b, &|label| !a.contains(label) && wanted.contains(label));
        let join = |parts: [&Labels; 3]| -> Labels { parts.into_iter().flatten().copied().collect() };
        let labels = join([&batch, &rows, &columns]);
        let everyone = join([&batch, &rows, &summed]);
        let left = self.summed(&everyone).ordered(&everyone);
        let everyone = join([&batch, &summed, &columns]);
        let right = other.summed(&everyone).ordered(&everyone);
        let size = |labels: &Labels| equation.shape(labels).len();
        let (n, m, k, p) = (size(&batch), size(&rows), size(&summed), size(&columns));
        let stacks = if batch.is_empty() { None } else { Some(n) };
        let stack = |matrix: [usize; 2]| -> Shape { stacks.into_iter().chain(matrix).collect() };
        let product = match summed.is_empty() {
            // Without a sum the product is elementwise.
            true => left.in_shape(&stack([m, 1])) * right.in_shape(&stack([1, p])),
            false => left.in_shape(&stack([m, k])).record(MatMul, &[right.in_shape(&stack([k, p]))]),
        };
        Self { x: product.in_shape(&equation.shape(&labels)), labels }
    }
}

/// The places of a label that is there twice.
fn repeated(labels: &Labels) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|k| labels[..k].iter().position(|&other| other == labels[k]).map(|first| (first, k)))
}

/// The labels that are in the output or in an operand other than these two.
fn wanted<T: Float>(operands: &[Labelled<'_, T>], pair: [usize; 2], output: &Labels) -> Labels {
    let others = operands.iter().enumerate().filter(|(k, _)| !pair.contains(k)).flat_map(|(_, x)| &x.labels);
    output.iter().chain(others).copied().collect()
}

/// The pair whose product has the fewest elements, of equals the first.
fn smallest_pair<T: Float>(operands: &[Labelled<'_, T>], equation: &Equation) -> [usize; 2] {
    let pairs = (0..operands.len()).flat_map(|j| (0..j).map(move |i| [i, j]));
    let elements = |&[i, j]: &[usize; 2]| {
        let wanted = wanted(operands, [i, j], &equation.output);
        let mut labels: Labels = operands[i].labels.iter().chain(&operands[j].labels).copied().collect();
        labels.retain(|label| wanted.contains(label));
        labels.sort_unstable();
        labels.dedup();
        equation.shape(&labels).len()
    };
    pairs.min_by_key(elements).unwrap_or([0, 0])
}

/// A sum of products in Einstein's notation: each letter names an axis, and what is not named behind the arrow is summed.
///
/// A letter that occurs twice in one operand takes its diagonal; `...` stands for any leading axes, which broadcast. Without
/// an arrow the result has the ellipsis and the letters that occur once, in alphabetical order.
///
/// Derivative: the same kind of sum of g with the other operands.
/// Shapes: by the equation.
///
/// ```
/// use autograd::{Tape, einsum};
///
/// let tape = Tape::new();
/// let a = tape.var([[1.0_f32, 2.0], [3.0, 4.0]]);
/// let b = tape.var([[1.0_f32, 1.0], [0.0, 1.0]]);
/// assert_eq!(einsum("ij,jk->ik", &[a, b]).value()?, a.matmul(b).value()?);
/// assert_eq!(einsum("ii->", &[a]).value()?.item()?, 5.0);
/// # Ok::<(), autograd::Error>(())
/// ```
#[track_caller]
pub fn einsum<'t, T: Float>(equation: &str, operands: &[Var<'t, T>]) -> Var<'t, T> {
    let Some(&first) = operands.first() else {
        return without_operands("einsum");
    };
    let failed = operands.iter().fold(first, |all, &operand| all.and(operand));
    if failed.is_failed() {
        return failed;
    }
    let shapes: Vec<Shape> = operands.iter().map(|operand| operand.shape()).collect();
    let equation = match Equation::parse(equation, &shapes) {
        Ok(equation) => equation,
        Err(problem) => return first.fail("einsum", ErrorKind::Equation { equation: equation.to_string(), problem }),
    };
    let mut left = Vec::with_capacity(operands.len());
    for (&x, labels) in operands.iter().zip(&equation.operands) {
        left.push(Labelled::new(x, labels, &equation));
    }
    while left.len() > 1 {
        let [i, j] = smallest_pair(&left, &equation);
        let wanted = wanted(&left, [i, j], &equation.output);
        let other = left.remove(j);
        left[i] = left[i].clone().multiplied(other, &wanted, &equation);
    }
    let all = left.remove(0).summed(&equation.output);
    all.ordered(&equation.output).called("einsum")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tape;
    use crate::Tensor;
    use crate::testing::{assert_gradient, failure, sample};

    /// Every equation with the shapes of its operands.
    const EQUATIONS: [(&str, &[&[usize]]); 24] = [
        ("ij,jk->ik", &[&[2, 3], &[3, 2]]),
        ("ij,kj->ik", &[&[2, 3], &[2, 3]]),
        ("bij,bjk->bik", &[&[2, 2, 3], &[2, 3, 2]]),
        ("i,j->ij", &[&[2], &[3]]),
        ("i,i->", &[&[3], &[3]]),
        ("ij->ji", &[&[2, 3]]),
        ("ij->j", &[&[2, 3]]),
        ("ii->i", &[&[3, 3]]),
        ("ii->", &[&[3, 3]]),
        ("iji->ij", &[&[2, 3, 2]]),
        ("iii->i", &[&[2, 2, 2]]),
        ("ij,ij->i", &[&[2, 3], &[2, 3]]),
        ("ij,ij->ij", &[&[2, 3], &[2, 3]]),
        ("bi,ij,bj->b", &[&[2, 3], &[3, 2], &[2, 2]]),
        ("a,ab,bc,cd->d", &[&[2], &[2, 3], &[3, 2], &[2, 2]]),
        ("...ij,...jk->...ik", &[&[2, 1, 2], &[2, 2]]),
        ("...i->...", &[&[2, 3, 2]]),
        ("i...,i...", &[&[2, 3], &[2, 1]]),
        ("ij,jk", &[&[2, 3], &[3, 2]]),
        ("ba", &[&[2, 3]]),
        (" b a -> a ", &[&[2, 3]]),
        ("ij,jk->ik", &[&[2, 1], &[3, 2]]),
        ("ij,j->i", &[&[0, 3], &[3]]),
        ("ij,kl->", &[&[2, 3], &[2, 2]]),
    ];

    /// Σ over all labels, one index after the other.
    fn by_definition(equation: &str, x: &[Tensor<f64>]) -> Tensor<f64> {
        let shapes: Vec<Shape> = x.iter().map(|x| x.shape().clone()).collect();
        let equation = Equation::parse(equation, &shapes).unwrap();
        let all: Labels = equation.sizes.keys().copied().collect();
        let mut y = Tensor::zeros(equation.shape(&equation.output));
        Tensor::from_fn(equation.shape(&all), |index| {
            let at = |label: &Label| index[all.iter().position(|other| other == label).unwrap()];
            let factor = |(x, labels): (&Tensor<f64>, &Labels)| {
                let index: Vec<usize> = labels
                    .iter()
                    .zip(x.shape().iter())
                    .map(|(label, &size)| if size == 1 { 0 } else { at(label) })
                    .collect();
                x.get(&index).unwrap()
            };
            let product: f64 = x.iter().zip(&equation.operands).map(factor).product();
            *y.get_mut(&equation.output.iter().map(at).collect::<Vec<_>>()).unwrap() += product;
            product
        });
        y
    }

    #[test]
    fn values_and_derivatives() {
        for (equation, shapes) in EQUATIONS {
            let x: Vec<_> = shapes.iter().enumerate().map(|(k, shape)| sample(shape, k as u64)).collect();
            let tape = Tape::new();
            let operands: Vec<_> = x.iter().map(|x| tape.constant(x.clone())).collect();
            let y = einsum(equation, &operands).value().unwrap();
            y.close_to(&by_definition(equation, &x), 1e-13, 1e-13).unwrap_or_else(|why| panic!("{equation}: {why}"));
            assert_gradient(|x| einsum(equation, x), &x);
        }
    }

    #[test]
    fn outputs_have_the_order_of_numpy() {
        let shape = |equation: &str, x: &[usize]| {
            let tape = Tape::<f64>::new();
            einsum(equation, &[tape.constant(Tensor::zeros(x))]).value().unwrap().shape().to_string()
        };
        assert_eq!(shape("ba", &[2, 3]), "[3, 2]");
        assert_eq!(shape("b...a", &[2, 4, 5, 3]), "[4, 5, 3, 2]");
        assert_eq!(shape("ab...->...b", &[2, 3, 4, 5]), "[4, 5, 3]");
        assert_eq!(shape("...->", &[2, 3]), "[]");
    }

    #[test]
    fn the_smallest_product_comes_first() {
        let tape = Tape::<f64>::new();
        let [x, y, z] = [&[50, 2][..], &[2, 50], &[50, 1]].map(|shape| tape.constant(Tensor::zeros(shape)));
        let before = tape.len();
        einsum("ij,jk,kl->il", &[x, y, z]).value().unwrap();
        let largest = (before as u32..tape.len() as u32).map(|slot| tape.node_value(slot).len()).max();
        assert!(largest < Some(50 * 50), "{largest:?}");
    }

    #[test]
    fn wrong_equations_are_named() {
        let of = |equation: &str, shapes: &[&[usize]]| failure(shapes, |x| einsum(equation, x));
        assert_eq!(of("ij,jk->ik", &[&[2, 3]]), "einsum: equation \"ij,jk->ik\": it names 2 operands, and 1 are given");
        assert_eq!(
            of("ij->i", &[&[2]]),
            "einsum: equation \"ij->i\": \"ij\" names 2 axes, and the operand has shape [2]"
        );
        assert_eq!(of("i1->i", &[&[2, 3]]), "einsum: equation \"i1->i\": '1' in \"i1\" is not a letter");
        assert_eq!(of("i....->i", &[&[2, 3]]), "einsum: equation \"i....->i\": '.' in \"i....\" is not a letter");
        assert_eq!(of("i->j", &[&[2]]), "einsum: equation \"i->j\": 'j' of the output is in no operand");
        assert_eq!(of("i->ii", &[&[2]]), "einsum: equation \"i->ii\": 'i' is in the output twice");
        assert_eq!(of("i->i->i", &[&[2]]), "einsum: equation \"i->i->i\": '-' in \"i->i\" is not a letter");
        assert_eq!(of("i,i", &[&[2], &[3]]), "einsum: equation \"i,i\": 'i' has sizes 2 and 3");
        assert_eq!(of("ii", &[&[2, 3]]), "einsum: equation \"ii\": 'i' has sizes 2 and 3 in one operand");
        let none = einsum::<f32>("", &[]).value().unwrap_err().to_string();
        assert!(none.starts_with("einsum: needs at least one operand, at "), "{none}");
    }
}
