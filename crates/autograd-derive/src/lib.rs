//! `#[derive(Module)]`: a struct or enum of modules is itself a module; and `#[derive(Inputs)]`, for arguments.
//!
//! The macro knows field names and types, not parameters or tensors: which types hold parameters is decided by their own
//! implementations of `nn::Module`. Use it through `nn`, which re-exports it beside the trait; the generated code names
//! its items as `::nn::…`.

#![forbid(unsafe_code)]

mod inputs;

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
/// Of an enum, the name of the active variant and its fields are visited; an enum of variants without fields is a module too.
/// Field types must implement `Module`: layers and parameters do, boxes, options, lists, arrays and tuples of modules, maps
/// (`BTreeMap`) from names to modules, and plain numbers, `bool` and `String`, which are settings. Three attributes change what happens to a field:
///
/// - `#[module(setting)]` shows a value that is no module, but has `Hash`, as a setting: an enum, a set, or options of another
///   crate;
/// - `#[module(skip)]` leaves it out, such as a file or a cache. Nobody sees it: a `ModelProgram` that was recorded of the model
///   **does not notice when it changes**, and goes on with the old value;
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
///     #[module(setting)]
///     order: std::cmp::Ordering,
///     #[module(skip)]
///     labels: HashMap<usize, String>,
/// }
/// ```
///
/// # Errors
/// A union, an unknown attribute, an empty name or one with a dot, and `skip` together with another attribute do not compile;
/// the message points at the place. A field whose type is no module does not compile where the model is first used as one; the
/// message names the type, points at the field and at the use.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Implements `autograd::Inputs` for a struct of arguments, and `autograd::Handle` for the same struct of handles.
///
/// The struct has a type parameter for each kind of thing that it holds: outside of a differentiated function it holds numbers,
/// tensors, and trees of them; inside, their handles stand in the same fields.
///
/// ```text
/// #[derive(Clone, Inputs)]
/// struct Line<N, W> {
///     offset: N,
///     slopes: Vec<W>,
///     #[inputs(setting)]
///     name: String,
/// }
/// ```
///
/// `#[inputs(setting)]` marks a plain value that goes with the arguments: it needs `Clone` and `PartialEq`, and arguments with
/// another one are of another form, which a program records anew.
///
/// # Errors
/// An enum or union, a struct with a lifetime or without a type parameter, and a field whose type mentions none and that is no
/// setting do not compile; the message points at the place.
#[proc_macro_derive(Inputs, attributes(inputs))]
pub fn derive_inputs(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    inputs::expand(&input).unwrap_or_else(Error::into_compile_error).into()
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
    /// It is no module, but a value with `Hash`.
    is_setting: bool,
}

/// A struct, or one variant of an enum.
struct Shape<'a> {
    constructor: TokenStream,
    variant: Option<String>,
    fields: Vec<Visited<'a>>,
}

/// The two methods of the trait.
#[derive(Clone, Copy, PartialEq)]
enum Method {
    Visit,
    VisitMut,
}

/// What the attributes of one field ask for.
#[derive(Default)]
struct Options {
    skip: bool,
    setting: bool,
    rename: Option<LitStr>,
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let shapes = shapes(input)?;
    let name = &input.ident;
    let (_, type_generics, _) = input.generics.split_for_impl();
    let generics = module_generics(&input.generics, name, &shapes);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let visit = body(&shapes, Method::Visit);
    let visit_mut = body(&shapes, Method::VisitMut);
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
            Ok(vec![Shape { constructor: quote!(Self), variant: None, fields }])
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
    Ok(Shape { constructor: quote!(Self::#ident), variant: Some(ident.unraw().to_string()), fields })
}

fn visited(fields: &Fields, unnamed: impl Fn(usize) -> Step) -> Result<Vec<Visited<'_>>> {
    let mut kept = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let Options { skip, setting: is_setting, rename } = options(field)?;
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
        kept.push(Visited { member, binding: format_ident!("__field{index}"), step, ty: &field.ty, is_setting });
    }
    Ok(kept)
}

fn options(field: &Field) -> Result<Options> {
    let mut options = Options::default();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                options.skip = true;
            } else if meta.path.is_ident("setting") {
                options.setting = true;
            } else if meta.path.is_ident("rename") {
                options.rename = Some(checked_name(meta.value()?.parse()?)?);
            } else {
                return Err(meta.error("unknown attribute: a field takes `setting`, `skip` or `rename = \"…\"`"));
            }
            if options.skip && (options.setting || options.rename.is_some()) {
                return Err(meta.error("a skipped field is not shown: `skip` excludes `setting` and `rename`"));
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
    for Visited { ty, is_setting, .. } in shapes.iter().flat_map(|shape| &shape.fields) {
        let tokens = quote!(#ty);
        let known = (tokens.to_string(), *is_setting);
        if !mentions(tokens, name) && !seen.contains(&known) {
            // The compiler points at this span when the type is no module.
            let bound = match is_setting {
                true => quote_spanned!(ty.span() => ::core::hash::Hash),
                false => quote_spanned!(ty.span() => ::nn::Module<__T>),
            };
            bounds.push(parse_quote!(#ty: #bound));
            seen.push(known);
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

fn body(shapes: &[Shape<'_>], method: Method) -> TokenStream {
    let arms = shapes.iter().map(|Shape { constructor, variant, fields }| {
        // A setting is shown, and changed by whoever has the field.
        let fields = || fields.iter().filter(|field| method == Method::Visit || !field.is_setting);
        let patterns = fields().map(|Visited { member, binding, .. }| quote!(#member: #binding,));
        let variant = variant.as_ref().filter(|_| method == Method::Visit);
        let variant = variant.map(|name| leaf(&quote!(__path), &quote!(::nn::Setting::Text(#name))));
        let visits = fields().map(|field| visit(field, method));
        quote!(#constructor { #(#patterns)* .. } => { #variant #(#visits)* })
    });
    match shapes {
        [] => quote!(match *self {}),
        _ => quote!(match self { #(#arms)* }),
    }
}

fn visit(field: &Visited<'_>, method: Method) -> TokenStream {
    let binding = &field.binding;
    let path = match &field.step {
        Step::Field(name) => quote!(&__path.field(#name)),
        Step::Index(index) => quote!(&__path.index(#index)),
        Step::Transparent => quote!(__path),
    };
    match (field.is_setting, method) {
        (true, _) => leaf(&path, &quote!(::nn::Setting::of(#binding))),
        (false, Method::Visit) => quote!(::nn::Module::<__T>::visit(#binding, #path, __visitor);),
        (false, Method::VisitMut) => quote!(::nn::Module::<__T>::visit_mut(#binding, #path, __visitor);),
    }
}

fn leaf(path: &TokenStream, setting: &TokenStream) -> TokenStream {
    quote!(__visitor.leaf(#path, ::nn::Leaf::Setting(#setting));)
}

#[cfg(test)]
mod tests;
