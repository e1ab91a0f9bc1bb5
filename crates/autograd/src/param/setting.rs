//! Settings: the plain values of a module, which decide what it computes.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A plain value of a module, such as an ε, a number of heads or a flag. Two are equal where no code can tell them apart.
///
/// ```
/// use autograd::module::Setting;
///
/// assert_eq!(Setting::from(0.1_f32), Setting::Float(f64::from(0.1_f32)));
/// assert_ne!(Setting::Float(0.0), Setting::Float(-0.0));
/// assert_eq!(Setting::of(&(2, "same")), Setting::of(&(2, "same")));
/// ```
#[derive(Clone, Copy)]
pub enum Setting<'m> {
    /// A `bool`; whether an option is there.
    Bool(bool),
    /// An integer or a `char`; the length of a list.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
    /// A string; the variant of an enum that is active; the type behind a `dyn`.
    Text(&'m str),
    /// A value of any other type, by what it feeds a hasher: see [`of`](Setting::of).
    Value(&'m dyn Hashed),
}

impl<'m> Setting<'m> {
    /// A value of any type with `Hash`. Two are equal where they feed a hasher the same: nothing is lost to collisions.
    pub fn of<X: Hash>(value: &'m X) -> Self {
        Setting::Value(value)
    }

    /// Appends words that no other setting in its place has.
    pub(crate) fn write(self, words: &mut Vec<u64>) {
        match self {
            Setting::Bool(x) => words.push(x.into()),
            Setting::Integer(x) => words.extend([x as u64, (x >> 64) as u64]),
            Setting::Float(x) => words.push(x.to_bits()),
            Setting::Text(x) => {
                words.push(x.len() as u64);
                Words(words).write(x.as_bytes());
            }
            Setting::Value(x) => x.feed(&mut Words(words)),
        }
    }

    fn words(self) -> Vec<u64> {
        let mut words = Vec::new();
        self.write(&mut words);
        words
    }
}

impl PartialEq for Setting<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.words() == other.words()
    }
}

impl fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Bool(x) => fmt::Debug::fmt(x, f),
            Setting::Integer(x) => fmt::Debug::fmt(x, f),
            Setting::Float(x) => fmt::Debug::fmt(x, f),
            Setting::Text(x) => fmt::Debug::fmt(x, f),
            Setting::Value(_) => write!(f, "{:x?}", self.words()),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident)*) => {$(
        impl From<$type> for Setting<'_> {
            fn from(x: $type) -> Self {
                Setting::$variant(x.into())
            }
        }
    )*};
}

from! {
    bool => Bool
    i8 => Integer
    i16 => Integer
    i32 => Integer
    i64 => Integer
    u8 => Integer
    u16 => Integer
    u32 => Integer
    u64 => Integer
    f32 => Float
    f64 => Float
}

impl From<char> for Setting<'_> {
    fn from(x: char) -> Self {
        u32::from(x).into()
    }
}

impl From<usize> for Setting<'_> {
    fn from(x: usize) -> Self {
        Setting::Integer(x as i128)
    }
}

impl From<isize> for Setting<'_> {
    fn from(x: isize) -> Self {
        Setting::Integer(x as i128)
    }
}

/// What has `Hash`, of a type that is not known: every such type is.
pub trait Hashed {
    #[doc(hidden)]
    fn feed(&self, hasher: &mut dyn Hasher);
}

impl<X: Hash> Hashed for X {
    fn feed(&self, mut hasher: &mut dyn Hasher) {
        self.hash(&mut hasher);
    }
}

/// Keeps whatever it is fed.
struct Words<'w>(&'w mut Vec<u64>);

impl Hasher for Words<'_> {
    fn write(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        self.0.extend(whole.iter().map(|&word| u64::from_le_bytes(word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.0.push(u64::from_le_bytes(last));
        }
    }

    fn finish(&self) -> u64 {
        self.0.len() as u64
    }
}
