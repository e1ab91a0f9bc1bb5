//! Where elements are that are searched for along an axis: in order, in the middle, the largest so far.
//!
//! What is found are integers of the recording, and the elements are gathered there: a program searches anew in every run.

use super::integers::IntegerOp;
use super::min_max::check_not_empty;
use super::sort::{kth, middle, shortened};
use crate::error::ErrorKind;
use crate::float::Float;
use crate::indices::Indices;
use crate::kernel::sort::SortOrder;
use crate::kernel::{reduce, scan};
use crate::shape::Shape;
use crate::tape::Source;
use crate::tensor::Tensor;
use crate::tensor::integers::Integers;
use crate::var::Var;

/// What is searched for along an axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Search {
    /// The first elements in order, as many as this, or all.
    InOrder(SortOrder, Option<usize>),
    /// The k-th smallest, counted from 1.
    Kth(usize),
    Median,
    Largest,
    Smallest,
    LargestSoFar,
    SmallestSoFar,
}

impl Search {
    pub fn name(self) -> &'static str {
        match self {
            Search::InOrder(_, None) => "argsort",
            Search::InOrder(_, Some(_)) => "topk",
            Search::Kth(_) => "kthvalue",
            Search::Median => "median",
            Search::Largest => "argmax",
            Search::Smallest => "argmin",
            Search::LargestSoFar => "cummax",
            Search::SmallestSoFar => "cummin",
        }
    }

    /// The shape of the places. An axis along which one element is found is dropped.
    fn shape(self, x: &Shape, axis: isize) -> Result<Shape, ErrorKind> {
        let axis = x.axis(axis)?;
        match self {
            Search::InOrder(_, None) | Search::LargestSoFar | Search::SmallestSoFar => Ok(x.clone()),
            Search::InOrder(_, Some(count)) => shortened(x, axis, count),
            Search::Kth(k) => kth(k).and_then(|_| shortened(x, axis, k)).map(|_| x.reduced(&[axis])),
            Search::Median => middle(x, axis).map(|_| x.reduced(&[axis])),
            Search::Largest | Search::Smallest => {
                let left = x.reduced(&[axis]);
                check_not_empty(x, &left).map(|()| left)
            }
        }
    }

    /// Where it is.
    pub fn find<T: Float>(self, x: &Tensor<T>, axis: isize) -> Result<Integers, ErrorKind> {
        let below = x.shape()[x.shape().axis(axis)?];
        let list = match self {
            Search::InOrder(order, count) => x.places(axis, count, order),
            Search::Kth(k) => x.kth_place(axis, k),
            Search::Median => x.median_place(axis),
            Search::Largest => x.search(axis, reduce::argmax),
            Search::Smallest => x.search(axis, reduce::argmin),
            Search::LargestSoFar => x.running_places(axis, scan::cummax),
            Search::SmallestSoFar => x.running_places(axis, scan::cummin),
        }?;
        Ok(Integers { list, below })
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// Where a search along `axis` finds elements.
    #[track_caller]
    pub(crate) fn search(self, op: &'static str, axis: isize, search: Search) -> Indices<'t, T> {
        if self.is_failed() {
            return Indices { tape: self.tape, slot: self.slot };
        }
        let (source, op_of) = (Source::Node(self.slot), IntegerOp::Search { search, axis });
        let found = self.tape.with_node(self.slot, |node| match self.tape.is_hollow() {
            false => search.find(&node.value, axis),
            true => search.shape(node.value.shape(), axis).map(|shape| Integers::absent(&shape)),
        });
        match found {
            Ok(found) => {
                let slot = self.tape.push_integers(op_of, source, found);
                self.tape.leave_out_integers(slot);
                Indices { tape: self.tape, slot }
            }
            Err(kind) => Indices { tape: self.tape, slot: self.fail(op, kind).slot },
        }
    }

    /// The elements that a search along `axis` finds, and where they are.
    #[track_caller]
    pub(crate) fn found(self, op: &'static str, axis: isize, search: Search) -> (Self, Indices<'t, T>) {
        let index = self.search(op, axis, search);
        (self.gather(axis, index).called(op), index)
    }

    /// As [`found`](Self::found) for a search that finds one element, without the axis.
    #[track_caller]
    pub(crate) fn found_one(self, op: &'static str, axis: isize, search: Search) -> (Self, Indices<'t, T>) {
        let index = self.search(op, axis, search);
        (self.gather(axis, index.unsqueeze(axis)).called(op).reshape(index.shape()), index)
    }
}
