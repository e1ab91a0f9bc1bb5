use autograd::*;
#[test]
fn smoke() {
    let tape = Tape::<f64>::new();
    let x = tape.var([[1.0, 2.0], [3.0, 4.0]]);
    let w = tape.var([[0.5, -0.5], [0.25, 1.0]]);
    let s = tape.scalar(3.0);
    let y = (x.matmul(w).tanh() * s + 1.0).sum();
    let g = y.backward().unwrap();
    println!("{} {} {}", g.of(x).unwrap(), g.of(w).unwrap(), g.of(s).unwrap());
    let gx = y.grad(x).unwrap();
    println!("{gx}");
    let h = (gx * gx).sum().grad(w).unwrap();
    println!("{h}");
    let bad = x.matmul(tape.var([1.0, 2.0, 3.0]));
    println!("{:?} {:?}", (bad + 1.0).sum().backward(), bad);
    println!("{:?}", gradient(|_, [x, y]| x * y.sin(), [1.0_f64, 2.0]).unwrap());
}
#[test]
fn speed() {
    let mut tape = Tape::<f64>::new();
    for n in [1000usize, 1_000_000, 10_000_000] {
        for _ in 0..3 {
            tape.clear();
            let t = std::time::Instant::now();
            let (mut x, a, b) = (tape.scalar(0.3), tape.scalar(0.9), tape.scalar(0.5));
            let mut s = tape.scalar(0.0);
            for _ in 0..n / 5 { let t = x * a; let u = t + b; let v = u * a; x = v - x; s = s + x; }
            let r = t.elapsed();
            let t = std::time::Instant::now();
            let g = s.backward().unwrap();
            let e = t.elapsed();
            println!("{n}: record {:.2} reverse {:.2} ns/op {}", r.as_nanos() as f64 / n as f64, e.as_nanos() as f64 / n as f64, g.of(a).unwrap());
        }
    }
    let mut tape = Tape::<f32>::new();
    let (w0, b0, x0) = (Tensor::full([4, 4], 0.3f32), Tensor::full([4, 4], 0.1f32), Tensor::full([4, 4], 0.2f32));
    for _ in 0..5 {
        tape.clear();
        let t = std::time::Instant::now();
        let (w, b, x0) = (tape.var(w0.clone()), tape.var(b0.clone()), tape.var(x0.clone()));
        let mut x = x0;
        for _ in 0..2500 { x = (x * w + b).tanh() + x0; }
        let s = x.sum();
        let r = t.elapsed();
        let g = s.backward().unwrap();
        let e = t.elapsed();
        println!("4x4: fwd {:.1} total {:.1} ns/op {}", r.as_nanos() as f64 / 1e4, e.as_nanos() as f64 / 1e4, g.of(w).unwrap().len());
    }
}
#[test]
fn small() {
    let mut tape = Tape::<f32>::new();
    let (w0, b0, x0) = (Tensor::full([4, 4], 0.3f32), Tensor::full([4, 4], 0.1f32), Tensor::full([4, 4], 0.2f32));
    for i in 0..200 {
        tape.clear();
        let t = std::time::Instant::now();
        let (w, b, x0) = (tape.var(w0.clone()), tape.var(b0.clone()), tape.var(x0.clone()));
        let mut x = x0;
        for _ in 0..2500 { x = (x * w + b).tanh() + x0; }
        let s = x.sum();
        let r = t.elapsed();
        let g = s.backward().unwrap();
        let e = t.elapsed();
        if i % 40 == 39 { println!("4x4: fwd {:.1} total {:.1} ns/op {}", r.as_nanos() as f64 / 1e4, e.as_nanos() as f64 / 1e4, g.of(w).unwrap().len()); }
    }
}
