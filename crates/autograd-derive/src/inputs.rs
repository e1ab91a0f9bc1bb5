//! `#[derive(Inputs)]`: a struct that is generic in what it holds, numbers and tensors outside of a function and handles inside.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Error, Field, GenericParam, Generics, Ident, Result, Token, WherePredicate, parse_quote};

use super::mentions;

/// A field of the struct.
struct Part {
    member: TokenStream,
    /// A plain value that goes with the arguments and is no argument.
    is_setting: bool,
}

pub(super) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Inputs can be derived for structs only"));
    };
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(lifetime, "arguments are copied: they have no lifetime"));
    }
    let mut held: Vec<Ident> = Vec::new();
    let mut parts = Vec::new();
    for (index, field) in data.fields.iter().enumerate() {
        let is_setting = is_setting(field)?;
        let ty = &field.ty;
        let mentioned =
            input.generics.type_params().map(|param| &param.ident).filter(|ident| mentions(quote!(#ty), ident));
        let mentioned: Vec<Ident> = mentioned.cloned().collect();
        if mentioned.is_empty() != is_setting {
            let message = "its type must be a type parameter of the struct, or made of some: inside of the function handles stand \
                           there; a plain value that is no argument is marked with `#[inputs(setting)]`";
            return Err(Error::new_spanned(ty, message));
        }
        held.extend(mentioned.into_iter().filter(|ident| !held.contains(ident)).collect::<Vec<_>>());
        let member = match &field.ident {
            Some(ident) => quote!(#ident),
            None => {
                let index = syn::Index::from(index);
                quote!(#index)
            }
        };
        parts.push(Part { member, is_setting });
    }
    if held.is_empty() {
        let message = "a struct of arguments has a type parameter for what it holds: numbers and tensors outside of the function, \
                       handles inside";
        return Err(Error::new_spanned(&input.ident, message));
    }
    let inputs = inputs(input, &held, &parts);
    let handles = handles(input, &held, &parts);
    Ok(quote!(#inputs #handles))
}

fn is_setting(field: &Field) -> Result<bool> {
    let mut is_setting = false;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("inputs")) {
        attribute.parse_nested_meta(|meta| match meta.path.is_ident("setting") {
            true => {
                is_setting = true;
                Ok(())
            }
            false => Err(meta.error("unknown attribute: a field takes `setting`")),
        })?;
    }
    Ok(is_setting)
}

/// The generics of an implementation for every number type: each type that is held has a bound.
fn bounded(generics: &Generics, held: &[Ident], lifetime: Option<&TokenStream>, bound: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    if let Some(lifetime) = lifetime {
        generics.params.insert(0, parse_quote!(#lifetime));
    }
    generics.params.push(parse_quote!(__T: ::autograd::Float));
    let bounds: Punctuated<WherePredicate, Token![,]> =
        held.iter().map(|ident| -> WherePredicate { parse_quote!(#ident: #bound) }).collect();
    generics.make_where_clause().predicates.extend(bounds);
    generics
}

/// The struct with other types in the place of those that it holds.
fn with(input: &DeriveInput, held: &[Ident], other: impl Fn(&Ident) -> TokenStream) -> TokenStream {
    let name = &input.ident;
    let arguments = input.generics.params.iter().map(|param| match param {
        GenericParam::Type(param) if held.contains(&param.ident) => other(&param.ident),
        GenericParam::Type(param) => {
            let ident = &param.ident;
            quote!(#ident)
        }
        GenericParam::Const(param) => {
            let ident = &param.ident;
            quote!(#ident)
        }
        GenericParam::Lifetime(param) => quote!(#param),
    });
    quote!(#name<#(#arguments),*>)
}

/// A struct, each of whose parts is made by `part`; settings are taken over by `setting`.
fn built(
    input: &DeriveInput,
    parts: &[Part],
    part: impl Fn(&TokenStream) -> TokenStream,
    setting: impl Fn(&TokenStream) -> TokenStream,
) -> TokenStream {
    let name = &input.ident;
    let fields = parts.iter().map(|Part { member, is_setting }| {
        let value = if *is_setting { setting(member) } else { part(member) };
        quote!(#member: #value)
    });
    quote!(#name { #(#fields),* })
}

fn inputs(input: &DeriveInput, held: &[Ident], parts: &[Part]) -> TokenStream {
    let generics = bounded(&input.generics, held, None, &quote!(::autograd::Inputs<__T>));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let own = with(input, held, |ident| quote!(#ident));
    let handles = with(input, held, |ident| quote!(<#ident as ::autograd::Inputs<__T>>::Handles<'__t>));
    let recorded = built(
        input,
        parts,
        |member| quote!(::autograd::Inputs::<__T>::record_by(&self.#member, __recorder)),
        |member| quote!(::core::clone::Clone::clone(&self.#member)),
    );
    let same = parts.iter().map(|Part { member, is_setting }| match is_setting {
        true => quote!(self.#member == __other.#member),
        false => quote!(::autograd::Inputs::<__T>::has_form_of(&self.#member, &__other.#member)),
    });
    let shown: Vec<_> = parts.iter().filter(|part| !part.is_setting).map(|part| &part.member).collect();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::autograd::Inputs<__T> for #own #where_clause {
            type Handles<'__t> = #handles where __T: '__t;

            #[track_caller]
            fn record_by<'__t>(
                &self,
                __recorder: &mut ::autograd::derive::Recorder<'_, '__t, __T>,
            ) -> Self::Handles<'__t> {
                #recorded
            }
            fn has_form_of(&self, __other: &Self) -> bool {
                #(#same)&&*
            }
            fn parts<'__x>(&'__x self, __show: &mut dyn FnMut(::autograd::derive::Part<'__x, __T>, bool)) {
                #(::autograd::Inputs::<__T>::parts(&self.#shown, __show);)*
            }
            fn parts_mut(&mut self, __show: &mut dyn FnMut(::autograd::derive::PartMut<'_, __T>)) {
                #(::autograd::Inputs::<__T>::parts_mut(&mut self.#shown, __show);)*
            }
        }
    }
}

fn handles(input: &DeriveInput, held: &[Ident], parts: &[Part]) -> TokenStream {
    let lifetime = quote!('__t);
    let own = with(input, held, |ident| quote!(#ident));
    let shown: Vec<_> = parts.iter().filter(|part| !part.is_setting).map(|part| &part.member).collect();
    let taken = |member: &TokenStream| quote!(self.#member);

    let generics = bounded(&input.generics, held, Some(&lifetime), &quote!(::autograd::Wrt<'__t, __T>));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let value = with(input, held, |ident| quote!(<#ident as ::autograd::Wrt<'__t, __T>>::Value));
    let read =
        built(input, parts, |member| quote!(::autograd::Wrt::<'__t, __T>::read_from(self.#member, __source)), taken);
    let wrt = quote! {
        #[automatically_derived]
        impl #impl_generics ::autograd::Wrt<'__t, __T> for #own #where_clause {
            type Value = #value;

            fn each(
                &self,
                __see: &mut dyn FnMut(::autograd::derive::Leaf<'_, '__t, __T>) -> ::autograd::Result<()>,
            ) -> ::autograd::Result<()> {
                #(::autograd::Wrt::<'__t, __T>::each(&self.#shown, __see)?;)*
                Ok(())
            }
            fn read_from(self, __source: &::autograd::derive::Source<'_, __T>) -> Self::Value {
                #read
            }
        }
    };

    let generics = bounded(&input.generics, held, Some(&lifetime), &quote!(::autograd::Handle<'__t, __T>));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let replaced =
        built(input, parts, |member| quote!(::autograd::Handle::<'__t, __T>::replace_by(self.#member, __by)), taken);
    quote! {
        #wrt

        #[automatically_derived]
        impl #impl_generics ::autograd::Handle<'__t, __T> for #own #where_clause {
            #[track_caller]
            fn replace_by(self, __by: &::autograd::derive::Replacement<'_, '__t, __T>) -> Self {
                #replaced
            }
            fn set_tangents(
                self,
                __along: Self::Value,
                __direction: &mut ::autograd::derive::Direction<'_, __T>,
            ) -> ::autograd::Result<()> {
                #(::autograd::Handle::<'__t, __T>::set_tangents(self.#shown, __along.#shown, __direction)?;)*
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(input: DeriveInput) -> String {
        expand(&input).expect_err("is refused").to_string()
    }

    #[test]
    fn handles_stand_in_every_field_but_settings() {
        let input = parse_quote! {
            struct Line<A: Clone, B, const N: usize = 2>(Vec<A>, [B; N], #[inputs(setting)] String);
        };
        let text = expand(&input).expect("expands").to_string();
        for part in [
            quote!(impl<A: Clone, B, const N: usize, __T: ::autograd::Float> ::autograd::Inputs<__T> for Line<A, B, N>),
            quote!(where A: ::autograd::Inputs<__T>, B: ::autograd::Inputs<__T>),
            quote!(<A as ::autograd::Inputs<__T>>::Handles<'__t>, <B as ::autograd::Inputs<__T>>::Handles<'__t>, N>),
            quote!(2: ::core::clone::Clone::clone(&self.2)),
            quote!(self.2 == __other.2),
            quote!(::autograd::Wrt::<'__t, __T>::each(&self.1, __see)?;),
        ] {
            assert!(text.contains(&part.to_string()), "{part}\n\n{text}");
        }
    }

    #[test]
    fn what_handles_cannot_stand_in_is_refused() {
        assert!(refused(parse_quote! { enum Line<A> { One(A) } }).contains("structs only"));
        assert!(refused(parse_quote! { struct Line<'a, A> { x: &'a A } }).contains("no lifetime"));
        assert!(refused(parse_quote! { struct Line { #[inputs(setting)] x: f64 } }).contains("has a type parameter"));
        assert!(refused(parse_quote! { struct Line<A> { x: A, y: f64 } }).contains("handles stand"));
        assert!(refused(parse_quote! { struct Line<A> { #[inputs(setting)] x: A } }).contains("handles stand"));
        assert!(refused(parse_quote! { struct Line<A> { #[inputs(skip)] x: A } }).contains("takes `setting`"));
    }
}
