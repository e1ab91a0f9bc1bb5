//! Modules that are made of others: boxes, options, lists, tuples, maps.

use std::collections::BTreeMap;

use super::module::{Leaf, Module, Path, Visitor, VisitorMut};
use super::setting::Setting;
use crate::float::Float;

impl<T: Float, M: Module<T> + ?Sized> Module<T> for Box<M> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(Setting::Text((**self).kind())));
        (**self).visit(path, visitor);
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        (**self).visit_mut(path, visitor);
    }
}

impl<T: Float, M: Module<T>> Module<T> for Option<M> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(self.is_some().into()));
        self.iter().for_each(|module| module.visit(path, visitor));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        self.iter_mut().for_each(|module| module.visit_mut(path, visitor));
    }
}

impl<T: Float, M: Module<T>> Module<T> for [M] {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(self.len().into()));
        self.iter().enumerate().for_each(|(index, module)| module.visit(&path.index(index), visitor));
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        self.iter_mut().enumerate().for_each(|(index, module)| module.visit_mut(&path.index(index), visitor));
    }
}

macro_rules! list {
    ($([$($generics:tt)*] $list:ty;)*) => {$(
        impl<T: Float, M: Module<T>, $($generics)*> Module<T> for $list {
            fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
                self.as_slice().visit(path, visitor);
            }
            fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
                self.as_mut_slice().visit_mut(path, visitor);
            }
        }
    )*};
}

list! {
    [] Vec<M>;
    [const N: usize] [M; N];
}

macro_rules! tuple {
    ($($module:ident $place:tt),*) => {
        impl<T: Float, $($module: Module<T>),*> Module<T> for ($($module,)*) {
            fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
                $(self.$place.visit(&path.index($place), visitor);)*
            }
            fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
                $(self.$place.visit_mut(&path.index($place), visitor);)*
            }
        }
    };
}

tuples!(tuple);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

/// Modules under names, in the order of the names.
///
/// A name stands in the path as it is. One with a dot reads as two levels of it, so that it may meet the name of another tensor:
/// saving such a model is then an error. PyTorch, which reads the same files, has neither empty names in a `ModuleDict` nor such with a dot.
impl<T: Float, K: AsRef<str>, M: Module<T>> Module<T> for BTreeMap<K, M> {
    fn visit<'m>(&'m self, path: &Path<'_>, visitor: &mut dyn Visitor<'m, T>) {
        visitor.leaf(path, Leaf::Setting(self.len().into()));
        for (name, module) in self {
            let path = path.field(name.as_ref());
            // Code finds a module by its name, so a program must notice when it has another one.
            visitor.leaf(&path, Leaf::Setting(Setting::Text(name.as_ref())));
            module.visit(&path, visitor);
        }
    }
    fn visit_mut<'m>(&'m mut self, path: &Path<'_>, visitor: &mut dyn VisitorMut<'m, T>) {
        self.iter_mut().for_each(|(name, module)| module.visit_mut(&path.field(name.as_ref()), visitor));
    }
}

macro_rules! nothing {
    ($([$($generics:tt)*] $nothing:ty;)*) => {$(
        impl<T: Float, $($generics)*> Module<T> for $nothing {
            fn visit<'m>(&'m self, _: &Path<'_>, _: &mut dyn Visitor<'m, T>) {}
            fn visit_mut<'m>(&'m mut self, _: &Path<'_>, _: &mut dyn VisitorMut<'m, T>) {}
        }
    )*};
}

nothing! {
    [] ();
    [X] std::marker::PhantomData<X>;
}
