//! A training that is saved and goes on elsewhere ends with the same bits as one that was never interrupted.

use std::collections::BTreeSet;

use autograd::{Param, Result, Tape, Tensor};
use nn::{Linear, Module, load, save};
use optim::schedule::{
    Constant, Cosine, CosineRestarts, Exponential, Lambda, Linear as Line, MultiStep, OneCycle, Polynomial, Schedule,
    StepDecay,
};
use optim::{Adam, Optimizer, RmsProp};
use rand::SeedableRng;
use rand::rngs::StdRng;

#[path = "../support/rules.rs"]
mod rules;

type MakeRule<'a> = &'a dyn Fn() -> Box<dyn Optimizer>;

/// Everything that a training needs to go on.
#[derive(Module)]
struct Training {
    model: Model,
    rule: Box<dyn Optimizer>,
}

#[derive(Module)]
struct Model {
    hidden: Linear,
    out: Linear,
    /// Without a gradient in every other step.
    seldom: Param,
    /// Never trained.
    frozen: Param,
}

impl Training {
    fn new(rule: MakeRule<'_>, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let [seldom, mut frozen] = [3, 4].map(|n| Param::new(Tensor::normal([n], 0.0, 1.0, &mut rng)));
        frozen.freeze();
        let (hidden, out) = (Linear::new(3, 5, &mut rng), Linear::new(5, 1, &mut rng));
        Self { model: Model { hidden, out, seldom, frozen }, rule: rule() }
    }

    /// Steps until there were `end`, those of an earlier life included.
    fn run(&mut self, schedule: &dyn Schedule, end: usize) -> Result<()> {
        let model = &mut self.model;
        let mut tape = Tape::new();
        for step in self.rule.steps()..end {
            let x = Tensor::uniform([8, 3], -1.0, 1.0, &mut StdRng::seed_from_u64(step as u64));
            let mut y = model.out.forward(model.hidden.forward(tape.constant(x)).tanh());
            if step % 2 == 1 {
                y += tape.param(&model.seldom).sum() * 0.1;
            }
            let gradients = (y - tape.param(&model.frozen).sum()).square().mean().backward()?;
            self.rule.set_rate(schedule.rate(step));
            self.rule.step(model, &gradients)?;
            tape.clear();
        }
        Ok(())
    }

    fn bits(&self) -> Vec<u32> {
        let Model { hidden, out, seldom, frozen } = &self.model;
        let dense = [hidden, out].into_iter().flat_map(|layer| [Some(&layer.weight), layer.bias.as_ref()]).flatten();
        dense.chain([seldom, frozen]).flat_map(|param| param.value().to_vec()).map(f32::to_bits).collect()
    }
}

fn schedules() -> Vec<(&'static str, Box<dyn Schedule>)> {
    vec![
        ("constant", Box::new(Constant(0.05))),
        ("steps", Box::new(StepDecay { rate: 0.1, every: 4, factor: 0.5 })),
        ("milestones", Box::new(MultiStep { rate: 0.1, milestones: vec![5, 15], factor: 0.1 })),
        ("exponential", Box::new(Exponential { rate: 0.1, factor: 0.9 })),
        ("line", Box::new(Line { rate: 0.1, last: 0.01, steps: 15 })),
        ("polynomial", Box::new(Polynomial { rate: 0.1, last: 0.01, steps: 15, power: 2.0 })),
        ("cosine with warm-up", Box::new(Cosine { rate: 0.1, last: 0.0, steps: 18 }.with_warmup(12))),
        ("restarts", Box::new(CosineRestarts { rate: 0.1, last: 0.0, period: 3, growth: 2 })),
        ("one cycle", Box::new(OneCycle::new(0.1, 20))),
        ("two in a row", Box::new(Constant(0.1).then(8, Lambda(|step| 0.1 / (1.0 + step as f64))))),
    ]
}

fn check(name: &str, rule: MakeRule<'_>, schedule: &dyn Schedule) {
    let path = std::env::temp_dir().join(format!("{}-resume.safetensors", std::process::id()));
    let mut whole = Training::new(rule, 1);
    whole.run(schedule, 20).expect("a whole training");
    let mut first = Training::new(rule, 1);
    first.run(schedule, 10).expect("the first half");
    save(&path, &first).expect("a file");
    assert_ne!(first.bits(), whole.bits(), "{name}");
    drop(first);
    let mut second = Training::new(rule, 2);
    second.rule.attach(&second.model);
    load(&path, &mut second).expect("the same file");
    assert_eq!(second.rule.steps(), 10, "{name}");
    second.run(schedule, 20).expect("the second half");
    assert_eq!(second.bits(), whole.bits(), "{name}");
    std::fs::remove_file(&path).expect("the file is still there");
}

#[test]
fn every_rule_and_every_schedule_goes_on_bit_for_bit() {
    for line in rules::lines_with("rule") {
        check(line["case"].as_str().expect("a name"), &|| rules::rule(&line), &Constant(0.05));
    }
    for (name, schedule) in schedules() {
        check(name, &|| Box::new(Adam::new(1.0)), &*schedule);
    }
}

/// A rule is in the list of rules, and so has numbers of PyTorch that it must reach.
#[test]
fn every_rule_is_tried() {
    let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/crates/optim/src")).expect("the sources");
    let files = sources.map(|entry| entry.expect("a file").path()).filter(|path| path.is_file());
    let texts: Vec<_> = files.map(|path| std::fs::read_to_string(path).expect("a text")).collect();
    let calls = texts.iter().filter_map(|text| text.split_once("\noptimizer!(")?.1.split_once(','));
    let defined: BTreeSet<&str> = calls.map(|(name, _)| name).collect();
    let lines = rules::lines_with("rule");
    assert_eq!(defined, rules::NAMES.iter().copied().collect());
    let tried: BTreeSet<_> = lines.iter().filter_map(|line| line["rule"].as_str()).collect();
    assert_eq!(tried.len(), defined.len());
}

#[test]
fn a_state_of_another_rule_does_not_load() {
    let path = std::env::temp_dir().join(format!("{}-other.safetensors", std::process::id()));
    let mut training = Training::new(&|| Box::new(Adam::new(0.1)), 1);
    training.run(&Constant(0.1), 2).expect("two steps");
    save(&path, &training.rule).expect("a file");
    let mut other = RmsProp::<f32>::new(0.1);
    other.attach(&training.model);
    let text = load(&path, &mut other).expect_err("the tensors have other names").to_string();
    assert!(text.contains("missing in the file: hidden.weight.square_avg, hidden.bias.square_avg"), "{text}");
    assert!(text.contains("unexpected in the file: hidden.bias.exp_avg, hidden.bias.exp_avg_sq"), "{text}");
    std::fs::remove_file(&path).expect("the file is still there");
}
