//! What every public operation, layer, loss and update rule says of itself, as CONTRIBUTING.md asks for it.
//!
//! The sources are read as text: whether an example is right, rustdoc's own tests say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Methods that give a handle and compute nothing, each with what it gives: no derivative and no shape to speak of.
const NO_OPERATION: [(&str, &str); 6] = [
    ("Var::param", "brings a parameter onto the tape"),
    ("Var::named", "gives back the handle that it names"),
    ("Var::fail", "gives back a failed handle"),
    ("Mask::fail", "gives back a failed handle"),
    ("Scalar::constant", "a plain number"),
    ("Tape::seed", "an integer"),
];

/// A public function, or a block that macros make methods of.
struct Item {
    /// `Type::name`; of a free function its name, of a block its name and `!`.
    name: String,
    /// The type that it is a method of.
    owner: String,
    file: PathBuf,
    doc: String,
    answer: String,
}

impl Item {
    fn is_block(&self) -> bool {
        self.name.ends_with('!')
    }

    /// Another name of an operation: what it is, the doc of that one says.
    fn is_alias(&self) -> bool {
        self.doc.starts_with("[`") && self.doc.lines().next().is_some_and(|line| line.ends_with("'s name."))
    }

    /// Whether the answer is on a tape, so that derivatives pass.
    fn is_differentiable(&self) -> bool {
        let is_handle = ["Self", "Var<", "Scalar<"].iter().any(|handle| self.answer.contains(handle));
        self.is_block()
            || is_handle && !["Tensor", "Indices", "Mask", "Tape", "AttentionOptions"].contains(&&*self.owner)
    }

    fn has_shapes(&self) -> bool {
        let answers: &[&str] = match &*self.owner {
            // The macros write the shapes of blocks.
            _ if self.is_block() => &[],
            "Scalar" | "AttentionOptions" => &[],
            "Tensor" => &["Self", "Tensor<"],
            _ => &["Self", "Var<", "Scalar<", "Indices<", "Mask<"],
        };
        answers.iter().any(|answer| self.answer.contains(answer))
    }

    fn lacks(&self) -> Vec<&'static str> {
        let says = |what: &str| self.doc.lines().any(|line| line.starts_with(what));
        let first = self.doc.lines().next().unwrap_or_default();
        let is_sentence = !first.is_empty() && !first.starts_with('#') && !first.starts_with("Derivative:");
        let states = |what| self.is_alias() || NO_OPERATION.iter().any(|(name, _)| *name == self.name) || says(what);
        let is_example = !self.is_differentiable() && !self.has_shapes() || says("```");
        let required = [
            ("a first sentence", is_sentence),
            ("`Derivative:`", !self.is_differentiable() || states("Derivative:")),
            ("`Shapes:`", !self.has_shapes() || states("Shapes:")),
            ("`# Errors`", !self.answer.contains("Result<") || says("# Errors")),
            ("an example", is_example || self.is_alias()),
        ];
        required.into_iter().filter(|&(_, is_there)| !is_there).map(|(what, _)| what).collect()
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The source files at and below the paths, tests left out.
fn sources(paths: &[&str]) -> Vec<(PathBuf, String)> {
    let mut left: Vec<PathBuf> = paths.iter().map(|path| root(path)).collect();
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text.split("#[cfg(test)]").next().unwrap_or_default().to_string()));
        }
    }
    files.sort();
    files
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The type of `impl<…> Trait for Type<…> {` or `impl<…> Type<…> {`.
fn implemented(line: &str) -> String {
    let line = line.rsplit(" for ").next().unwrap_or_default();
    let line = line.strip_prefix("impl").unwrap_or(line);
    let mut depth = 0;
    let after = line.char_indices().find(|&(_, c)| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0 && c != '>'
    });
    identifier(line[after.map_or(0, |(at, _)| at)..].trim_start())
}

const BLOCKS: [&str; 4] = ["unary! {", "binary! {", "comparison! {", "clamp! {"];

/// The public functions of a file and its blocks of elementwise operations.
fn items(file: &Path, text: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let (mut owner, mut doc, mut is_block, mut is_comparison) = (String::new(), String::new(), false, false);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if let Some(text) = code.strip_prefix("///") {
            doc += text.strip_prefix(' ').unwrap_or(text);
            doc.push('\n');
            continue;
        }
        if code.starts_with("#[") {
            continue;
        }
        let new = |name: String, owner: &str, doc: &str, answer: &str| Item {
            name,
            owner: owner.to_string(),
            file: file.to_path_buf(),
            doc: doc.to_string(),
            answer: answer.to_string(),
        };
        if BLOCKS.contains(&line) {
            is_block = true;
            is_comparison = line.starts_with("comparison");
        } else if is_block && line == "}" {
            // The example stands behind the rule.
            if let Some(item) = items.last_mut() {
                item.doc += &doc;
            }
            is_block = false;
        } else if is_block
            && line.starts_with("    ")
            && !line.starts_with("     ")
            && !doc.is_empty()
            && line != "    }"
        {
            // What all comparisons say, their macro writes.
            doc += if is_comparison { "Derivative: 0.\n" } else { "" };
            items.push(new(identifier(code) + "!", "", &doc, ""));
        } else if is_block && line == "    }" {
            items.last_mut().unwrap().doc += &doc;
        } else if line.starts_with("impl") {
            owner = implemented(line);
        } else if line == "}" {
            owner.clear();
        } else if let Some(function) = code.strip_prefix("pub fn ").filter(|name| !name.starts_with('$')) {
            let mut signature = function.to_string();
            while !signature.ends_with('{') && !signature.ends_with(';') {
                signature += lines.next().unwrap().trim();
            }
            let name = identifier(function);
            let answer = signature.rsplit_once("->").map_or("", |(_, answer)| answer);
            let is_free = !line.starts_with(' ');
            let path = if is_free { name } else { format!("{owner}::{name}") };
            items.push(new(path, if is_free { "" } else { &owner }, &doc, answer));
        }
        doc.clear();
    }
    items
}

/// The blocks of which no method is made: an operator is, or a method that takes an integer.
fn blocks_without_methods() -> BTreeSet<String> {
    let macros = fs::read_to_string(root("crates/autograd/src/ops/elementwise/block.rs")).unwrap();
    let arms = macros.lines().filter(|line| line.contains("(@methods") && line.ends_with("=> {};"));
    arms.map(|arm| identifier(arm.rsplit("] ").next().unwrap_or_default()) + "!").collect()
}

fn assert_none(offenders: &[String]) {
    assert!(offenders.is_empty(), "{} lack something:\n{}", offenders.len(), offenders.join("\n"));
}

/// The types a user meets; methods of others are inside of the crate.
const PUBLIC: [&str; 8] = ["", "Var", "Scalar", "Tensor", "Tape", "Indices", "Mask", "AttentionOptions"];

fn operations() -> Vec<Item> {
    let own = ["ops", "var.rs", "scalar.rs", "indices.rs", "mask.rs"].map(|path| format!("crates/autograd/src/{path}"));
    let files = sources(&own.each_ref().map(String::as_str));
    let items = files.iter().flat_map(|(path, text)| items(path, text));
    items.filter(|item| PUBLIC.contains(&&*item.owner)).collect()
}

#[test]
fn operations_say_what_they_compute() {
    let hidden = blocks_without_methods();
    let offenders: Vec<String> = (operations().iter())
        .filter(|item| !hidden.contains(&item.name) && !item.lacks().is_empty())
        .map(|item| format!("{}: {} ({})", item.name, item.lacks().join(", "), item.file.display()))
        .collect();
    assert_none(&offenders);
}

#[test]
fn methods_stand_under_headings() {
    let types = ["Var", "Scalar", "Tensor", "Mask"];
    let mut offenders = Vec::new();
    for (path, text) in sources(&["crates/autograd/src"]) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("impl<")) {
            let is_public =
                lines[at..].iter().take_while(|line| **line != "}").any(|line| line.starts_with("    pub fn "));
            let is_headed = at > 0 && lines[at - 1].starts_with("/// # ");
            if is_public && !is_headed && !line.contains(" for ") && types.contains(&&*implemented(line)) {
                offenders.push(format!("{}:{} a heading", path.display(), at + 1));
            }
        }
        let has_family = text.contains("\nfamily!(\"");
        if text.lines().any(|line| BLOCKS.contains(&line)) && !has_family {
            offenders.push(format!("{} a heading of its blocks", path.display()));
        }
    }
    assert_none(&offenders);
}

#[test]
fn the_page_of_var_lists_all_its_operations() {
    let operators = ["neg!", "add!", "sub!", "mul!", "div!"];
    let hidden = blocks_without_methods();
    let text = fs::read_to_string(root("crates/autograd/src/var.rs")).unwrap();
    let (page, _) = text.split_once("pub struct Var<").unwrap();
    let own = sources(&["crates/autograd/src"]);
    let items = own.iter().flat_map(|(path, text)| items(path, text));
    let names = items.filter(|item| item.owner == "Var" || item.is_block()).map(|item| item.name);
    let offenders: Vec<String> = names
        .filter(|name| !operators.contains(&&**name) && !hidden.contains(name))
        .map(|name| name.trim_start_matches("Var::").trim_end_matches('!').to_string())
        .filter(|name| !page.contains(&format!("[`{name}`](Self::{name})")))
        .collect();
    assert_none(&offenders);
}

/// The macros of a file with all that they write, by the line that calls them.
fn macros(text: &str) -> Vec<(String, String)> {
    let definitions = text.split("macro_rules! ").skip(1);
    definitions
        .map(|definition| {
            let body: Vec<&str> = definition.lines().take_while(|line| *line != "}").collect();
            (identifier(definition) + "! {", body.join("\n"))
        })
        .collect()
}

/// The layers of a file with what is said of each: types that have a `forward`, and names in calls of macros that write one.
fn layers(text: &str) -> Vec<(String, String)> {
    let macros = macros(text);
    let has_forward = |code: &str| code.contains("pub fn forward");
    let (mut layers, mut doc, mut of_macro) = (Vec::new(), String::new(), "");
    for line in text.lines() {
        if let Some((_, body)) = macros.iter().find(|(call, _)| call == line) {
            of_macro = if has_forward(body) { body } else { "" };
        } else if line == "}" {
            of_macro = "";
        }
        let code = line.trim_start();
        let is_name = code.starts_with(char::is_uppercase) && line.len() == code.len() + 4;
        if let Some(line) = code.strip_prefix("/// ") {
            doc = doc + line + "\n";
        } else if !code.starts_with("///") && !code.starts_with("#[") {
            let declared = line.strip_prefix("pub struct ").map(identifier);
            if let Some(name) = declared {
                let methods = text.split("\nimpl").filter(|part| implemented(&format!("impl{part}")) == name);
                if methods.into_iter().any(has_forward) {
                    layers.push((name, doc.clone()));
                }
            } else if is_name && !of_macro.is_empty() && !doc.is_empty() {
                layers.push((identifier(code), doc.clone() + &of_macro.replace("        /// ", "")));
            }
            doc.clear();
        }
    }
    layers
}

fn lacking(name: &str, doc: &str, required: &[&str]) -> Option<String> {
    let lacks: Vec<&str> =
        required.iter().filter(|what| !doc.lines().any(|line| line.contains(**what))).copied().collect();
    (!lacks.is_empty()).then(|| format!("{name}: {}", lacks.join(", ")))
}

#[test]
fn layers_state_their_shapes() {
    let layers: Vec<(String, String)> =
        sources(&["crates/nn/src/layer"]).iter().flat_map(|(_, text)| layers(text)).collect();
    assert!(layers.len() > 40, "{} layers were found", layers.len());
    let offenders: Vec<String> =
        layers.iter().filter_map(|(name, doc)| lacking(name, doc, &["# Shapes", "```"])).collect();
    assert_none(&offenders);
}

#[test]
fn losses_state_formula_and_shapes() {
    let files = sources(&["crates/nn/src/loss"]);
    let losses = files.iter().flat_map(|(path, text)| items(path, text)).filter(|item| item.owner.is_empty());
    let offenders: Vec<String> = losses
        .filter_map(|loss| {
            // What gives every element has the formula and the example of the mean.
            let required: &[&str] = if loss.name.ends_with("_each") { &["Shapes:"] } else { &["Shapes:", "```"] };
            lacking(&loss.name, &loss.doc, required)
        })
        .collect();
    assert_none(&offenders);
}

#[test]
fn update_rules_state_their_equations() {
    let mut offenders = Vec::new();
    for (_, text) in sources(&["crates/optim/src"]) {
        let Some((before, after)) = text.split_once("pub struct ").filter(|_| text.contains("optimizer!(")) else {
            continue;
        };
        // The reference is a title in italics.
        offenders.extend(lacking(&identifier(after), before, &["θ ← ", "```", "*, "]));
    }
    assert_none(&offenders);
}
