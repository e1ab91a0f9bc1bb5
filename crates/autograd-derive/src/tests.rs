use super::*;

fn expanded(input: DeriveInput) -> String {
    expand(&input).expect("expands").to_string()
}

fn refused(input: DeriveInput) -> String {
    expand(&input).expect_err("is refused").to_string()
}

/// The arms of `visit` alone, or of `visit_mut`.
fn arms(input: DeriveInput, method: Method) -> String {
    body(&shapes(&input).expect("shapes"), method).to_string()
}

#[test]
fn a_struct_is_visited_field_by_field_under_its_names() {
    let text = expanded(parse_quote! { struct Mlp { hidden: Linear, out: Linear } });
    let expected = quote! {
        #[automatically_derived]
        impl<__T: ::nn::Float> ::nn::Module<__T> for Mlp where Linear: ::nn::Module<__T> {
            fn visit<'__m>(
                &'__m self,
                __path: &::nn::Path<'_>,
                __visitor: &mut dyn ::nn::Visitor<'__m, __T>,
            ) {
                match self {
                    Self { hidden: __field0, out: __field1, .. } => {
                        ::nn::Module::<__T>::visit(__field0, &__path.field("hidden"), __visitor);
                        ::nn::Module::<__T>::visit(__field1, &__path.field("out"), __visitor);
                    }
                }
            }

            fn visit_mut<'__m>(
                &'__m mut self,
                __path: &::nn::Path<'_>,
                __visitor: &mut dyn ::nn::VisitorMut<'__m, __T>,
            ) {
                match self {
                    Self { hidden: __field0, out: __field1, .. } => {
                        ::nn::Module::<__T>::visit_mut(__field0, &__path.field("hidden"), __visitor);
                        ::nn::Module::<__T>::visit_mut(__field1, &__path.field("out"), __visitor);
                    }
                }
            }
        }
    };
    assert_eq!(text, expected.to_string());
}

#[test]
fn generics_lifetimes_and_bounds_are_carried_over() {
    let text = expanded(parse_quote! {
        struct Wrap<'a, T: Float, M: Clone = Linear, const N: usize = 2> where M: Send { inner: [M; N], note: &'a T }
    });
    let head = quote! {
        impl<'a, T: Float, M: Clone, const N: usize, __T: ::nn::Float> ::nn::Module<__T> for Wrap<'a, T, M, N>
        where M: Send, [M; N]: ::nn::Module<__T>, &'a T: ::nn::Module<__T>
    };
    assert!(text.contains(&head.to_string()), "{text}");
}

#[test]
fn tuple_and_unit_structs() {
    let pair = arms(parse_quote! { struct Pair(Linear, Norm); }, Method::VisitMut);
    let expected = quote! {
        match self {
            Self { 0: __field0, 1: __field1, .. } => {
                ::nn::Module::<__T>::visit_mut(__field0, &__path.index(0usize), __visitor);
                ::nn::Module::<__T>::visit_mut(__field1, &__path.index(1usize), __visitor);
            }
        }
    };
    assert_eq!(pair, expected.to_string());
    let unit = expanded(parse_quote! { struct Identity; });
    let nothing = quote! { match self { Self { .. } => {} } };
    assert!(unit.contains(&nothing.to_string()), "{unit}");
    assert!(!unit.contains("where"), "{unit}");
}

#[test]
fn an_enum_visits_the_active_variant_and_a_lone_field_keeps_the_path() {
    let layer =
        parse_quote! { enum Layer { Dense(Linear), Gated { value: Linear, gate: Linear }, Two(Linear, Norm), Flat } };
    let expected = quote! {
        match self {
            Self::Dense { 0: __field0, .. } => {
                __visitor.leaf(__path, ::nn::Leaf::Setting(::nn::Setting::Text("Dense")));
                ::nn::Module::<__T>::visit(__field0, __path, __visitor);
            }
            Self::Gated { value: __field0, gate: __field1, .. } => {
                __visitor.leaf(__path, ::nn::Leaf::Setting(::nn::Setting::Text("Gated")));
                ::nn::Module::<__T>::visit(__field0, &__path.field("value"), __visitor);
                ::nn::Module::<__T>::visit(__field1, &__path.field("gate"), __visitor);
            }
            Self::Two { 0: __field0, 1: __field1, .. } => {
                __visitor.leaf(__path, ::nn::Leaf::Setting(::nn::Setting::Text("Two")));
                ::nn::Module::<__T>::visit(__field0, &__path.index(0usize), __visitor);
                ::nn::Module::<__T>::visit(__field1, &__path.index(1usize), __visitor);
            }
            Self::Flat { .. } => {
                __visitor.leaf(__path, ::nn::Leaf::Setting(::nn::Setting::Text("Flat")));
            }
        }
    };
    assert_eq!(arms(layer, Method::Visit), expected.to_string());
    assert_eq!(arms(parse_quote! { enum Never {} }, Method::Visit), quote!(match *self {}).to_string());
}

#[test]
fn a_setting_is_shown_and_never_lent() {
    let mixer: DeriveInput = parse_quote! { struct Mixer { weight: Param, #[module(setting)] order: Ordering } };
    let shown = quote! {
        match self {
            Self { weight: __field0, order: __field1, .. } => {
                ::nn::Module::<__T>::visit(__field0, &__path.field("weight"), __visitor);
                __visitor.leaf(&__path.field("order"), ::nn::Leaf::Setting(::nn::Setting::of(__field1)));
            }
        }
    };
    assert_eq!(arms(mixer.clone(), Method::Visit), shown.to_string());
    let lent = quote! {
        match self {
            Self { weight: __field0, .. } => {
                ::nn::Module::<__T>::visit_mut(__field0, &__path.field("weight"), __visitor);
            }
        }
    };
    assert_eq!(arms(mixer.clone(), Method::VisitMut), lent.to_string());
    let bounds = quote! { for Mixer where Param: ::nn::Module<__T>, Ordering: ::core::hash::Hash };
    assert!(expanded(mixer).contains(&bounds.to_string()));
}

#[test]
fn attributes_skip_and_rename() {
    let text = expanded(parse_quote! {
        struct Cell {
            #[module(rename = "weight_ih_l0")] input: Param,
            #[module(skip)] cache: Cache,
            r#type: Kind,
        }
    });
    assert!(text.contains(r#"field ("weight_ih_l0")"#) && !text.contains(r#"field ("input")"#), "{text}");
    assert!(!text.contains("cache") && !text.contains("Cache"), "{text}");
    assert!(text.contains(r#"r#type : __field2"#) && text.contains(r#"field ("type")"#), "{text}");
    let lone = arms(parse_quote! { enum E { A(#[module(rename = "inner")] Linear) } }, Method::Visit);
    assert!(lone.contains(r#"field ("inner")"#), "{lone}");
}

#[test]
fn a_recursive_type_does_not_ask_for_itself() {
    let text = expanded(parse_quote! { enum Tree { Leaf(Linear), Node(Vec<Tree>), Twin(Box<(Self, Linear)>) } });
    let (head, _) = text.split_once('{').expect("an impl block");
    let expected = quote! { for Tree where Linear: ::nn::Module<__T> };
    assert!(head.trim_end().ends_with(&expected.to_string()), "{head}");
}

#[test]
fn the_bound_of_a_field_points_at_its_type() {
    let input: DeriveInput = syn::parse_str("struct S {\n    hidden: Linear,\n    labels: Map,\n}").expect("a struct");
    let shapes = shapes(&input).expect("shapes");
    let generics = module_generics(&input.generics, &input.ident, &shapes);
    let bounds = generics.where_clause.expect("bounds").predicates;
    let lines: Vec<_> = bounds.iter().map(|bound| (bound.span().start().line, bound.span().end().line)).collect();
    assert_eq!(lines, [(2, 2), (3, 3)]);
}

#[test]
fn mistakes_are_named() {
    assert!(refused(parse_quote! { union U { a: f32, b: u32 } }).contains("union"));
    let unknown = refused(parse_quote! { struct S { #[module(frozen)] a: Linear } });
    assert_eq!(unknown, "unknown attribute: a field takes `setting`, `skip` or `rename = \"…\"`");
    assert!(refused(parse_quote! { #[module(skip)] struct S; }).contains("belong on fields"));
    assert!(refused(parse_quote! { enum E { #[module(skip)] A(Linear) } }).contains("belong on fields"));
    assert!(refused(parse_quote! { struct S { #[module(rename = "a.b")] a: Linear } }).contains("no dot"));
    assert!(refused(parse_quote! { struct S { #[module(rename = "")] a: Linear } }).contains("not empty"));
    assert!(refused(parse_quote! { struct S { #[module(skip, rename = "b")] a: Linear } }).contains("excludes"));
    assert!(refused(parse_quote! { struct S { #[module(setting, skip)] a: Linear } }).contains("excludes"));
    assert!(expand(&parse_quote! { struct S { #[module(rename)] a: Linear } }).is_err());
    assert!(expand(&parse_quote! { struct S { #[module] a: Linear } }).is_err());
}
