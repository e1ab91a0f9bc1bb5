//! Generators of a model's draws.

use rand::{Rng, RngExt};

use super::Counter;

/// What a layer draws from, such as masks of dropout: a row of seeds that a key determines, and how many have been taken. A copy goes on with
/// the same seeds.
///
/// A recorded step takes the next seeds at every run, like an eager one, if the generator belongs to the model of a
/// [`ModelProgram`](crate::ModelProgram).
///
/// ```
/// use autograd::{Generator, Tape};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let generator = Generator::new(&mut StdRng::seed_from_u64(1));
/// let again = generator.clone();
/// let tape = Tape::<f32>::new();
/// let x = tape.var([1.0; 100]);
/// let [first, second] = [&generator, &generator].map(|generator| x.dropout(0.5, generator));
/// assert_ne!(first.value()?, second.value()?);
/// assert_eq!(x.dropout(0.5, &again).value()?, first.value()?);
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    key: u64,
    drawn: Counter,
}

impl Generator {
    /// A generator with a key from another one.
    pub fn new(rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::from_key(rng.random())
    }

    /// The generator with this key.
    pub fn from_key(key: u64) -> Self {
        Generator { key, drawn: Counter::default() }
    }

    /// What determines the seeds.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// How many seeds have been taken.
    pub fn drawn(&self) -> u64 {
        self.drawn.get()
    }

    /// Goes on behind that many seeds, as when training is resumed.
    pub fn set_drawn(&self, drawn: u64) {
        self.drawn.set(drawn);
    }

    /// Takes so many seeds; how many were taken before.
    pub(crate) fn take(&self, seeds: u64) -> u64 {
        self.drawn.add(seeds).wrapping_sub(seeds)
    }
}
