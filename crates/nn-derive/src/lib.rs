//! `#[derive(Module)]`: a struct or enum of modules is itself a module.
//!
//! The macro knows field names and types, not parameters or tensors: which types hold parameters is decided by their own
//! implementations of `nn::Module`. Use it through `nn`, which re-exports it beside the trait; the generated code names
//! its items as `::nn::…`.

#![forbid(unsafe_code)]

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Generics, Ident, LitStr, Result, Token, Type};
use syn::{WherePredicate, parse_macro_input, parse_quote};

/// Implements `nn::Module` by visiting every field in the order of declaration.
///
/// Names follow PyTorch's state dict, so that a saved model can be read on either side:
///
/// | written as | name of its weight |
/// |---|---|
/// | `struct Mlp { hidden: Linear }` | `hidden.weight` |
/// | `struct Block { layers: Vec<Linear> }` | `layers.0.weight` |
/// | `struct Pair(Linear, Linear)` | `0.weight`, `1.weight` |
/// | `enum Layer { Dense(Linear), Flat }` | `weight`: a variant of one unnamed field adds nothing to the path |
/// | `enum Layer { Gated { value: Linear, gate: Linear } }` | `value.weight`, `gate.weight` |
///
/// Only the active variant of an enum is visited. Field types must implement `Module`: layers and parameters do, boxes,
/// options, lists and arrays of modules, and plain numbers, `bool` and `String`, which hold no parameters. Two attributes
/// change what happens to a field:
///
/// - `#[module(skip)]` leaves it out; its type need not be a module, such as a map, a file or an enum of settings;
/// - `#[module(rename = "weight_ih_l0")]` gives it another name.
///
/// The element type stays open: the derived struct is a `Module<T>` for every `T` that all of its visited fields agree on,
/// so `Linear<f64>` fields make a `Module<f64>` without a further bound.
///
/// ```text
/// #[derive(Module)]
/// struct Encoder {
///     blocks: Vec<Block>,
///     #[module(rename = "head")]
///     output: Option<Linear>,
///     #[module(skip)]
///     labels: HashMap<usize, String>,
/// }
/// ```
///
/// # Errors
/// A union, an unknown attribute, an empty name or one with a dot, and `skip` together with `rename` do not compile; the
/// message points at the place. A field whose type is no module does not compile where the model is first used as one; the
/// message names the type, points at the field and at the use.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// How a field's own name continues the path of the module that holds it.
enum Step {
    Field(LitStr),
    Index(usize),
    Transparent,
}

/// A field that is visited.
struct Visited<'a> {
    member: TokenStream,
    binding: Ident,
    step: Step,
    ty: &'a Type,
}

/// A struct, or one variant of an enum.
struct Shape<'a> {
    constructor: TokenStream,
    fields: Vec<Visited<'a>>,
}

/// What the attributes of one field ask for.
#[derive(Default)]
struct Options {
    skip: bool,
    rename: Option<LitStr>,
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let shapes = shapes(input)?;
    let name = &input.ident;
    let (_, type_generics, _) = input.generics.split_for_impl();
    let generics = module_generics(&input.generics, name, &shapes);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let visit = body(&shapes, &format_ident!("visit"));
    let visit_mut = body(&shapes, &format_ident!("visit_mut"));
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::nn::Module<__T> for #name #type_generics #where_clause {
            fn visit<'__m>(
                &'__m self,
                __path: &::nn::Path<'_>,
                __visitor: &mut dyn ::nn::Visitor<'__m, __T>,
            ) {
                #visit
            }

            fn visit_mut<'__m>(
                &'__m mut self,
                __path: &::nn::Path<'_>,
                __visitor: &mut dyn ::nn::VisitorMut<'__m, __T>,
            ) {
                #visit_mut
            }
        }
    })
}

fn shapes(input: &DeriveInput) -> Result<Vec<Shape<'_>>> {
    refuse_attributes(&input.attrs)?;
    match &input.data {
        Data::Struct(data) => {
            let fields = visited(&data.fields, Step::Index)?;
            Ok(vec![Shape { constructor: quote!(Self), fields }])
        }
        Data::Enum(data) => data.variants.iter().map(variant).collect(),
        Data::Union(data) => {
            let message = "Module cannot be derived for a union: which field is active is not known";
            Err(Error::new(data.union_token.span, message))
        }
    }
}

fn variant(variant: &syn::Variant) -> Result<Shape<'_>> {
    refuse_attributes(&variant.attrs)?;
    let ident = &variant.ident;
    // A single unnamed field is the variant itself: a `Vec` of such an enum is named like PyTorch's `Sequential`.
    let alone = variant.fields.len() == 1;
    let fields = visited(&variant.fields, |index| if alone { Step::Transparent } else { Step::Index(index) })?;
    Ok(Shape { constructor: quote!(Self::#ident), fields })
}

fn visited(fields: &Fields, unnamed: impl Fn(usize) -> Step) -> Result<Vec<Visited<'_>>> {
    let mut kept = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let Options { skip, rename } = options(field)?;
        if skip {
            continue;
        }
        let (member, own) = match &field.ident {
            Some(ident) => (quote!(#ident), Step::Field(LitStr::new(&ident.unraw().to_string(), ident.span()))),
            None => {
                let member = syn::Index::from(index);
                (quote!(#member), unnamed(index))
            }
        };
        let step = rename.map_or(own, Step::Field);
        kept.push(Visited { member, binding: format_ident!("__field{index}"), step, ty: &field.ty });
    }
    Ok(kept)
}

fn options(field: &Field) -> Result<Options> {
    let mut options = Options::default();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                options.skip = true;
            } else if meta.path.is_ident("rename") {
                options.rename = Some(checked_name(meta.value()?.parse()?)?);
            } else {
                return Err(meta.error("unknown attribute: a field takes `skip` or `rename = \"…\"`"));
            }
            if options.skip && options.rename.is_some() {
                return Err(meta.error("a skipped field has no name: `skip` and `rename` exclude each other"));
            }
            Ok(())
        })?;
    }
    Ok(options)
}

/// A dot inside a name would read as two levels of the path.
fn checked_name(name: LitStr) -> Result<LitStr> {
    match name.value() {
        value if value.is_empty() || value.contains('.') => {
            Err(Error::new(name.span(), "a name is not empty and has no dot"))
        }
        _ => Ok(name),
    }
}

fn refuse_attributes(attributes: &[Attribute]) -> Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("module")) {
        Some(attribute) => Err(Error::new_spanned(attribute, "`module` attributes belong on fields")),
        None => Ok(()),
    }
}

/// Adds the element type and one bound per distinct type of a visited field.
///
/// A type that mentions the derived one gets no bound: it would make the implementation depend on itself without end,
/// while the body of a recursive implementation may rely on it without asking.
fn module_generics(generics: &Generics, name: &Ident, shapes: &[Shape<'_>]) -> Generics {
    let mut generics = generics.clone();
    generics.params.push(parse_quote!(__T: ::nn::Float));
    let mut bounds: Punctuated<WherePredicate, Token![,]> = Punctuated::new();
    let mut seen = Vec::new();
    for ty in shapes.iter().flat_map(|shape| &shape.fields).map(|field| field.ty) {
        let tokens = quote!(#ty);
        let text = tokens.to_string();
        if !mentions(tokens, name) && !seen.contains(&text) {
            // The compiler points at this span when the type is no module.
            let bound = quote_spanned!(ty.span() => ::nn::Module<__T>);
            bounds.push(parse_quote!(#ty: #bound));
            seen.push(text);
        }
    }
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name || ident == Ident::new("Self", Span::call_site()),
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

fn body(shapes: &[Shape<'_>], method: &Ident) -> TokenStream {
    let arms = shapes.iter().map(|Shape { constructor, fields }| {
        let patterns = fields.iter().map(|Visited { member, binding, .. }| quote!(#member: #binding,));
        let visits = fields.iter().map(|field| visit(field, method));
        quote!(#constructor { #(#patterns)* .. } => { #(#visits)* })
    });
    match shapes {
        [] => quote!(match *self {}),
        _ => quote!(match self { #(#arms)* }),
    }
}

fn visit(field: &Visited<'_>, method: &Ident) -> TokenStream {
    let binding = &field.binding;
    let path = match &field.step {
        Step::Field(name) => quote!(&__path.field(#name)),
        Step::Index(index) => quote!(&__path.index(#index)),
        Step::Transparent => quote!(__path),
    };
    quote!(::nn::Module::<__T>::#method(#binding, #path, __visitor);)
}

#[cfg(test)]
mod tests;
