//! Programs with lists of indices that share a buffer, start in the middle of one, or come twice: every run is the function
//! itself.

use autograd::{ModelProgram, Param, Program, Result, Tape, Tensor};
use nn::Batches;

fn table() -> Tensor<f64> {
    Tensor::from([1.0, 2.0, 3.0, 4.0])
}

/// Parts of one list, and a list of its own, in every order of recording and running.
#[test]
fn lists_may_be_parts_of_one_list() -> Result<()> {
    let all: Tensor<usize> = [3, 0, 1, 2, 3].into_iter().collect();
    let strided = Tensor::from([[0, 9], [3, 9]]).index_axis(1, 0)?;
    let lists = [all.slice(0, 1..3)?, all.slice(0, 3..5)?, Tensor::from([2, 2]), strided, all.slice(0, ..2)?];
    for recorded in &lists {
        let mut sum = Program::record(&(table(), recorded.clone()), |_, (x, i)| x.index_select(0, i).sum())?;
        let mut picked = Program::record_vector(&(table(), recorded.clone()), |_, (x, i)| x.gather(0, i))?;
        for list in &lists {
            let expected: Vec<f64> = list.iter().map(|i| 1.0 + i as f64).collect();
            assert_eq!(sum.value(&(table(), list.clone()))?, expected.iter().sum::<f64>(), "{recorded} {list}");
            assert_eq!(picked.values(&(table(), list.clone()))?.to_vec(), expected, "{recorded} {list}");
        }
    }
    Ok(())
}

#[test]
fn one_list_may_come_twice() -> Result<()> {
    let f = |x: &Tensor<f64>, lists: &[Tensor<usize>; 2]| {
        Program::record(&(x.clone(), lists[0].clone(), lists[1].clone()), |_, (x, a, b)| {
            (x.index_select(0, a) * 10.0 + x.index_select(0, b)).sum()
        })
    };
    let [first, second] = [Tensor::from([0, 1]), Tensor::from([2, 3])];
    let pairs = [[&first, &first], [&first, &second], [&second, &first], [&second, &second]];
    for recorded in pairs {
        let mut program = f(&table(), &recorded.map(Clone::clone))?;
        for [a, b] in pairs {
            let sum = |list: &Tensor<usize>| list.iter().map(|i| 1.0 + i as f64).sum::<f64>();
            let found = program.value(&(table(), a.clone(), b.clone()))?;
            assert_eq!(found, 10.0 * sum(a) + sum(b), "{a} {b}");
        }
    }
    Ok(())
}

#[test]
fn next_tokens_of_a_corpus() -> Result<()> {
    let corpus: Tensor<usize> = [0, 2, 1, 3, 3, 0, 1, 2, 0].into_iter().collect();
    let model =
        Param::new(Tensor::from([[0.5_f64, -1.0, 2.0, 0.0]; 4]).mul(Tensor::from([[1.0], [2.0], [3.0], [4.0]]))?);
    let batch = |k: usize| -> Result<[Tensor<usize>; 2]> {
        Ok([corpus.slice(0, 4 * k..4 * k + 4)?, corpus.slice(0, 4 * k + 1..4 * k + 5)?])
    };
    let mut step = ModelProgram::record(&model, &batch(0)?, |model: &Param<f64>, tape, [tokens, next]| {
        tape.param(model).embedding(tokens).softmax_cross_entropy(next, &Default::default()).item()
    })?;
    for k in [1, 0] {
        let [tokens, next] = batch(k)?;
        let tape = Tape::new();
        let expected = tape.param(&model).embedding(&tokens).softmax_cross_entropy(&next, &Default::default());
        assert_eq!(step.value(&model, &batch(k)?)?, expected.item().value()?);
    }
    Ok(())
}

#[test]
fn batches_of_places_are_arguments() -> Result<()> {
    let batches: Vec<Tensor<usize>> = Batches::in_order(4, 2).collect();
    let x = table().mul(10.0)?;
    let mut sum = Program::record(&(x.clone(), batches[0].clone()), |_, (x, i)| x.index_select(0, i).sum())?;
    assert_eq!([sum.value(&(x.clone(), batches[0].clone()))?, sum.value(&(x, batches[1].clone()))?], [30.0, 70.0]);
    Ok(())
}

/// An index that is out of range in a later run is an error then, and the program goes on.
#[test]
fn a_later_list_may_be_wrong() -> Result<()> {
    let mut sum = Program::record(&(table(), Tensor::from([0, 1])), |_, (x, i)| x.index_select(0, i).sum())?;
    let error = sum.value(&(table(), Tensor::from([1, 4]))).unwrap_err().to_string();
    assert!(error.starts_with("index_select: index 4 is out of range for axis 0 of shape [4]"), "{error}");
    assert_eq!(sum.value(&(table(), Tensor::from([2, 3])))?, 7.0);
    Ok(())
}
