//! Where elements are that are searched for along an axis: in order, in the middle, the largest so far.
//!
//! What is found are indices, and the elements are gathered there. A program searches anew in every run; so in its recording
//! the search is an operation, whose value is nothing and which keeps the indices.

use super::{Saved, Value};
use crate::error::{Error, Result, Rule};
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::sort::Order;
use crate::kernel::{reduce, scan};
use crate::tensor::Tensor;
use crate::var::Var;

/// What is searched for along an axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Search {
    /// The first elements in order, as many as this, or all.
    InOrder(Order, Option<usize>),
    /// The k-th smallest, counted from 1.
    Kth(usize),
    Median,
    Largest,
    Smallest,
    LargestSoFar,
    SmallestSoFar,
}

impl Search {
    /// Where it is. An axis along which one element is found is dropped.
    fn places<T: Float>(self, x: &Tensor<T>, axis: isize) -> Result<Tensor<usize>, Rule> {
        match self {
            Search::InOrder(order, count) => x.places(axis, count, order),
            Search::Kth(k) => x.kth_place(axis, k),
            Search::Median => x.median_place(axis),
            Search::Largest => x.search(axis, reduce::argmax),
            Search::Smallest => x.search(axis, reduce::argmin),
            Search::LargestSoFar => x.running_places(axis, scan::cummax),
            Search::SmallestSoFar => x.running_places(axis, scan::cummin),
        }
    }

    /// The places, contiguous, and a number that all are smaller than.
    pub fn find<T: Float>(self, x: &Tensor<T>, axis: isize) -> Result<(Tensor<usize>, usize), Rule> {
        let below = x.shape()[x.shape().axis(axis)?];
        Ok((self.places(x, axis)?.in_order()?, below))
    }

    /// Nothing, and the places.
    pub fn value<T: Float>(self, x: &Tensor<T>, axis: isize) -> Result<Value<T>, Rule> {
        let (places, below) = self.find(x, axis)?;
        Ok(Value { tensor: Tensor::zeros([0]), saved: Saved::Index { places, below } })
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// Where a search along `axis` finds elements.
    #[track_caller]
    pub(crate) fn search(self, op: &'static str, axis: isize, search: Search) -> Result<Indices<'t, T>> {
        self.ensure()?;
        let found = match self.tape.is_guarding() {
            true => self.tape.searched(self.slot, search, axis),
            false => search.places(&self.tape.node_value(self.slot), axis),
        };
        Ok(Indices::new(self.tape, found.map_err(Error::at(op))?))
    }

    /// The elements that a search along `axis` finds, and where they are.
    #[track_caller]
    pub(crate) fn found(self, op: &'static str, axis: isize, search: Search) -> (Self, Indices<'t, T>) {
        match self.search(op, axis, search) {
            Ok(index) => (self.gather(axis, &index).called(op), index),
            Err(error) => (self.fail(op, error.rule), Indices::none(self.tape)),
        }
    }

    /// As [`found`](Self::found) for a search that finds one element, without the axis.
    #[track_caller]
    pub(crate) fn found_one(self, op: &'static str, axis: isize, search: Search) -> (Self, Indices<'t, T>) {
        match self.search(op, axis, search) {
            Ok(index) => (self.gather(axis, &index.unsqueeze(axis)).called(op).reshape(index.shape()), index),
            Err(error) => (self.fail(op, error.rule), Indices::none(self.tape)),
        }
    }
}
