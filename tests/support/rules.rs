//! The update rules by PyTorch's names, with the options and numbers of `tests/reference/optim.jsonl`: the one list of rules
//! that tests have.

use autograd::Float;
use optim::{Adagrad, AdagradConfig, Adam, AdamConfig, AdamW, AdamWConfig, Adamax, AdamaxConfig};
use optim::{Optimizer, RmsProp, RmsPropConfig, Sgd, SgdConfig};
use serde_json::Value;

/// The lines of the file that have this field.
pub fn lines_with(field: &str) -> Vec<Value> {
    let lines = include_str!("../reference/optim.jsonl").lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("every line is JSON"));
    lines.filter(|line| line.get(field).is_some()).collect()
}

pub fn number(x: &Value) -> f64 {
    match x.as_str() {
        Some("inf") => f64::INFINITY,
        _ => x.as_f64().unwrap_or_else(|| panic!("{x} is not a number")),
    }
}

pub fn numbers(x: &Value) -> Vec<f64> {
    x.as_array().expect("a list").iter().map(number).collect()
}

fn betas(options: &Value) -> [f64; 2] {
    numbers(&options["betas"]).try_into().expect("two betas")
}

/// The value of an option, a number unless it is said to be something else.
macro_rules! option {
    ($options:ident, flag $name:literal) => {
        $options[$name].as_bool().unwrap_or_else(|| panic!("{} is not a flag", $name))
    };
    ($options:ident, betas) => {
        betas($options)
    };
    ($options:ident, $name:literal) => {
        number(&$options[$name])
    };
}

macro_rules! rules {
    ($($name:literal => $rule:ident, $config:ident { $($field:ident: [$($option:tt)*]),* $(,)? })*) => {
        /// The rule of a line of the file.
        pub fn rule<T: Float>(line: &Value) -> Box<dyn Optimizer<T>> {
            let options = &line["options"];
            match line["rule"].as_str() {
                $(Some($name) => Box::new($rule::with_config($config { $($field: option!(options, $($option)*)),* })),)*
                name => panic!("{name:?} is not an update rule"),
            }
        }

        /// Whether the options of a line are our defaults.
        #[allow(dead_code)]
        pub fn are_defaults(line: &Value) -> bool {
            let options = &line["options"];
            match line["rule"].as_str() {
                $(Some($name) => $config { $($field: option!(options, $($option)*)),* } == $config::default(),)*
                name => panic!("{name:?} is not an update rule"),
            }
        }

        /// The rules by our names.
        #[allow(dead_code)]
        pub const NAMES: &[&str] = &[$(stringify!($rule)),*];
    };
}

rules! {
    "SGD" => Sgd, SgdConfig {
        rate: ["lr"],
        momentum: ["momentum"],
        dampening: ["dampening"],
        weight_decay: ["weight_decay"],
        nesterov: [flag "nesterov"],
        maximize: [flag "maximize"],
    }
    "Adam" => Adam, AdamConfig {
        rate: ["lr"],
        betas: [betas],
        epsilon: ["eps"],
        weight_decay: ["weight_decay"],
        amsgrad: [flag "amsgrad"],
        maximize: [flag "maximize"],
    }
    "AdamW" => AdamW, AdamWConfig {
        rate: ["lr"],
        betas: [betas],
        epsilon: ["eps"],
        weight_decay: ["weight_decay"],
        amsgrad: [flag "amsgrad"],
        maximize: [flag "maximize"],
    }
    "Adamax" => Adamax, AdamaxConfig {
        rate: ["lr"],
        betas: [betas],
        epsilon: ["eps"],
        weight_decay: ["weight_decay"],
        maximize: [flag "maximize"],
    }
    "RMSprop" => RmsProp, RmsPropConfig {
        rate: ["lr"],
        alpha: ["alpha"],
        epsilon: ["eps"],
        weight_decay: ["weight_decay"],
        momentum: ["momentum"],
        centered: [flag "centered"],
        maximize: [flag "maximize"],
    }
    "Adagrad" => Adagrad, AdagradConfig {
        rate: ["lr"],
        rate_decay: ["lr_decay"],
        weight_decay: ["weight_decay"],
        initial_sum: ["initial_accumulator_value"],
        epsilon: ["eps"],
        maximize: [flag "maximize"],
    }
}
