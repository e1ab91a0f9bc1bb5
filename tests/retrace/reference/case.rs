//! One line of `ops.jsonl`.

use autograd::{Tape, Tensor, Var};
use serde_json::Value;

pub type Numbers = Vec<f64>;

/// A call of an op, and what PyTorch computed.
pub struct Case {
    pub op: String,
    pub name: String,
    pub kind: String,
    pub inputs: Vec<Input>,
    pub params: Value,
    pub outputs: Vec<Input>,
    pub cotangents: Option<Vec<Option<Numbers>>>,
    pub gradients: Option<Vec<Option<Numbers>>>,
    pub directions: Option<Vec<Option<Numbers>>>,
    pub second: Option<Vec<Option<Numbers>>>,
    pub jvp: Option<Vec<Option<Numbers>>>,
}

/// A tensor: numbers, indices or a mask.
pub struct Input {
    pub shape: Vec<usize>,
    pub data: Numbers,
    pub name: Option<String>,
    pub dtype: String,
}

impl Case {
    pub fn parse(line: &str) -> Self {
        let mut json: Value = serde_json::from_str(line).expect("a line of JSON");
        // The correctly rounded numbers are the better reference.
        let exact = json["exact"].take();
        for field in ["gradients", "second", "jvp"] {
            if !exact[field].is_null() {
                json[field] = exact[field].clone();
            }
        }
        let mut outputs = inputs(&json["outputs"]);
        for (output, exact) in outputs.iter_mut().zip(exact["outputs"].as_array().into_iter().flatten()) {
            let exact = if exact.is_object() { &exact["data"] } else { exact };
            output.data = numbers(exact).unwrap_or_else(|| output.data.clone());
        }
        Case {
            op: text(&json["op"]),
            name: text(&json["case"]),
            kind: text(&json["kind"]),
            inputs: inputs(&json["inputs"]),
            params: json["params"].clone(),
            outputs,
            cotangents: lists(&json["cotangents"]),
            gradients: lists(&json["gradients"]),
            directions: lists(&json["directions"]),
            second: lists(&json["second"]),
            jvp: lists(&json["jvp"]),
        }
    }

    /// The inputs as variables, where they are numbers.
    pub fn on<'t>(&self, tape: &'t Tape<f64>) -> Vec<Option<Var<'t, f64>>> {
        self.inputs.iter().map(|input| input.is_float().then(|| tape.var(input.tensor()))).collect()
    }

    /// The places of the inputs that are numbers.
    pub fn floats(&self) -> impl Iterator<Item = usize> {
        (0..self.inputs.len()).filter(|&i| self.inputs[i].is_float())
    }
}

impl Input {
    pub fn is_float(&self) -> bool {
        self.dtype.is_empty()
    }

    pub fn tensor(&self) -> Tensor<f64> {
        Tensor::from_vec(&self.shape[..], self.data.clone()).expect("as many numbers as the shape has elements")
    }
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_string()
}

fn inputs(json: &Value) -> Vec<Input> {
    let input = |json: &Value| Input {
        shape: json["shape"].as_array().into_iter().flatten().filter_map(Value::as_u64).map(|n| n as usize).collect(),
        data: numbers(&json["data"]).expect("a tensor has data"),
        name: json["name"].as_str().map(str::to_string),
        dtype: text(&json["dtype"]),
    };
    json.as_array().into_iter().flatten().map(input).collect()
}

fn lists(json: &Value) -> Option<Vec<Option<Numbers>>> {
    Some(json.as_array()?.iter().map(numbers).collect())
}

fn numbers(json: &Value) -> Option<Numbers> {
    Some(json.as_array()?.iter().map(number).collect())
}

/// A number; the ones that JSON does not have are strings.
pub fn number(json: &Value) -> f64 {
    match json.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        Some(_) => f64::NAN,
        None => json.as_f64().expect("a number"),
    }
}
