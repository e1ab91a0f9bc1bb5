//! A model as a table.

use std::fmt;

use autograd::{Float, Leaf, Module, Path, Shape};

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
        Leaf::Mode(_) => {}
    });
    summary
}

/// What [`summary`] found; displays as a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// One row for each layer that holds tensors itself.
    pub layers: Vec<LayerSummary>,
    /// Elements of all parameters.
    pub parameters: usize,
    /// Elements of all parameters that are not frozen.
    pub trainable: usize,
    /// Elements of all buffers.
    pub buffers: usize,
}

/// One row of a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSummary {
    /// The layer, as in the names of its tensors; empty for the model itself.
    pub name: String,
    /// The layer's own parameters and buffers.
    pub tensors: Vec<(String, Shape)>,
    /// Elements of its own parameters.
    pub parameters: usize,
}

impl Summary {
    fn add(&mut self, path: &Path<'_>, shape: &Shape, parameters: usize) {
        let path = path.to_string();
        let (layer, tensor) = path.rsplit_once('.').unwrap_or(("", &path));
        if self.layers.last().is_none_or(|last| last.name != layer) {
            self.layers.push(LayerSummary { name: layer.into(), tensors: Vec::new(), parameters: 0 });
        }
        if let Some(last) = self.layers.last_mut() {
            last.tensors.push((tensor.into(), shape.clone()));
            last.parameters += parameters;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = |layer: &LayerSummary| {
            layer.tensors.iter().map(|(name, shape)| format!("{name} {shape}")).collect::<Vec<_>>().join(", ")
        };
        let rows: Vec<[String; 3]> = std::iter::once(["layer", "tensors", "parameters"].map(String::from))
            .chain(self.layers.iter().map(|layer| [layer.name.clone(), tensors(layer), layer.parameters.to_string()]))
            .collect();
        let [a, b, c] = [0, 1, 2].map(|k| rows.iter().map(|row| row[k].chars().count()).max().unwrap_or(0));
        let rule = "─".repeat(a + b + c + 4);
        for (k, [layer, tensors, parameters]) in rows.iter().enumerate() {
            writeln!(f, "{layer:a$}  {tensors:b$}  {parameters:>c$}")?;
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
    use crate::{BatchNorm1d, ModuleExt};

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
}
