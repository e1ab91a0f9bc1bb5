//! Bundle adjustment, as the benchmark suite ADBench (microsoft/ADBench) defines it: where cameras see points, against where
//! they should. Each observation has two errors, and its weight a third.
//!
//! The arguments of an observation are, in this order, its camera (rotation vector, centre, focal length, principal point,
//! two coefficients of distortion), its point and its weight.

use autograd::{Algebra, NoGrad, Program, Real, Result, Tape, program::Vector};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub const CAMERA: usize = 11;
pub const ARGUMENTS: usize = CAMERA + 3 + 1;

pub struct Observation {
    pub camera: usize,
    pub point: usize,
    pub weight: f64,
    pub feature: [f64; 2],
}

pub struct Scene {
    pub cameras: Vec<[f64; CAMERA]>,
    pub points: Vec<[f64; 3]>,
    pub observations: Vec<Observation>,
}

impl Scene {
    /// Cameras near the origin that look at points in front of them.
    pub fn random(cameras: usize, points: usize, observations: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut number = |low: f64, high: f64| rng.random_range(low..high);
        let cameras: Vec<_> = (0..cameras)
            .map(|_| {
                let [r, c] = [(); 2].map(|_| [(); 3].map(|_| number(-0.5, 0.5)));
                let [f, u, v, k1, k2] = [(300.0, 500.0), (-9.0, 9.0), (-9.0, 9.0), (-0.1, 0.1), (-0.01, 0.01)]
                    .map(|(low, high)| number(low, high));
                [r[0], r[1], r[2], c[0], c[1], c[2], f, u, v, k1, k2]
            })
            .collect();
        let points: Vec<_> = (0..points).map(|_| [number(-2.0, 2.0), number(-2.0, 2.0), number(6.0, 9.0)]).collect();
        let observations = (0..observations)
            .map(|i| Observation {
                camera: i % cameras.len(),
                point: i % points.len(),
                weight: number(0.5, 1.0),
                feature: [number(-300.0, 300.0), number(-300.0, 300.0)],
            })
            .collect();
        Scene { cameras, points, observations }
    }

    /// The arguments of one observation.
    pub fn arguments(&self, observation: &Observation) -> [f64; ARGUMENTS] {
        let mut x = [observation.weight; ARGUMENTS];
        x[..CAMERA].copy_from_slice(&self.cameras[observation.camera]);
        x[CAMERA..ARGUMENTS - 1].copy_from_slice(&self.points[observation.point]);
        x
    }

    /// All errors: two for each observation, then one for each weight.
    pub fn errors(&self, errors: &mut [f64]) {
        let (reprojection, weight) = errors.split_at_mut(2 * self.observations.len());
        for (i, observation) in self.observations.iter().enumerate() {
            let x = self.arguments(observation);
            reprojection[2 * i..][..2].copy_from_slice(&reprojection_error(&x, observation.feature));
            weight[i] = weight_error(observation.weight);
        }
    }

    /// The derivatives of all errors, each observation by a recording of its own.
    pub fn jacobian(&self, tape: &mut Tape<f64>, jacobian: &mut Jacobian) -> Result<()> {
        for (i, observation) in self.observations.iter().enumerate() {
            tape.clear();
            let x = tape.scalars(self.arguments(observation));
            let by_weight = weight_error(x[ARGUMENTS - 1]).backward()?.of(x[ARGUMENTS - 1])?;
            let rows = reprojection_error(&x, observation.feature.map(Algebra::of));
            for (row, error) in jacobian.reprojection_rows(i).zip(rows) {
                let gradients = error.backward()?;
                for (slot, &x) in row.iter_mut().zip(&x) {
                    *slot = gradients.of(x)?;
                }
            }
            *jacobian.weight_row(i) = by_weight;
        }
        Ok(())
    }
}

/// The arguments of an observation, and where it was seen.
type Arguments = ([f64; ARGUMENTS], NoGrad<[f64; 2]>);

/// The derivatives by programs, for all observations together.
pub struct Replay {
    reprojection: Program<'static, f64, Arguments, Vector>,
    weight: Program<'static, f64, f64>,
    arguments: Vec<Arguments>,
    weights: Vec<f64>,
}

impl Replay {
    pub fn new(scene: &Scene) -> Result<Self> {
        let first = (scene.arguments(&scene.observations[0]), NoGrad(scene.observations[0].feature));
        let reprojection = Program::record_vector(&first, |tape, (x, NoGrad(feature))| {
            tape.from_scalars(&reprojection_error(&x, feature))
        })?;
        let weight = Program::record(&1.0, |_, weight| weight_error(weight))?;
        Ok(Replay { reprojection, weight, arguments: Vec::new(), weights: Vec::new() })
    }

    pub fn jacobian(&mut self, scene: &Scene, jacobian: &mut Jacobian) -> Result<()> {
        let observations = || scene.observations.iter();
        self.arguments.clear();
        self.arguments.extend(observations().map(|seen| (scene.arguments(seen), NoGrad(seen.feature))));
        self.weights.clear();
        self.weights.extend(observations().map(|seen| seen.weight));
        let (reprojection, weights) = jacobian.values.split_at_mut(2 * ARGUMENTS * self.arguments.len());
        self.reprojection.batch(&self.arguments).jacobian(reprojection)?;
        self.weight.batch(&self.weights).gradient(weights)
    }
}

/// weight · (f · distorted + principal point − feature), where the distorted are the coordinates of the rotated point.
pub fn reprojection_error<R: Real>(x: &[R; ARGUMENTS], feature: [R; 2]) -> [R; 2] {
    let [r0, r1, r2, c0, c1, c2, f, u, v, k1, k2, p0, p1, p2, weight] = *x;
    let [a, b, c] = rotate([r0, r1, r2], [p0 - c0, p1 - c1, p2 - c2]);
    let (a, b) = (a / c, b / c);
    let square = a * a + b * b;
    let distortion = R::of(1.0) + k1 * square + k2 * square * square;
    let error = |x: R, principal: R, seen: R| weight * (x * distortion * f + principal - seen);
    [error(a, u, feature[0]), error(b, v, feature[1])]
}

/// 1 − weight².
pub fn weight_error<R: Real>(weight: R) -> R {
    R::of(1.0) - weight * weight
}

/// The point turned around the axis r by the angle |r|: Rodrigues' formula.
fn rotate<R: Real>(r: [R; 3], point: [R; 3]) -> [R; 3] {
    let square = dot(r, r);
    if square == R::of(0.0) {
        let turned = cross(r, point);
        return std::array::from_fn(|i| point[i] + turned[i]);
    }
    let angle = square.sqrt();
    let (cos, sin, inverse) = (angle.cos(), angle.sin(), R::of(1.0) / angle);
    let axis = r.map(|r| r * inverse);
    let turned = cross(axis, point);
    let along = dot(axis, point) * (R::of(1.0) - cos);
    std::array::from_fn(|i| point[i] * cos + turned[i] * sin + axis[i] * along)
}

fn dot<R: Real>(a: [R; 3], b: [R; 3]) -> R {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross<R: Real>(a: [R; 3], b: [R; 3]) -> [R; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// A matrix in compressed rows: the errors by all cameras, all points and all weights.
#[allow(dead_code)] // A benchmark fills the values and does not ask where they belong.
pub struct Jacobian {
    /// Where each row starts among the columns and values.
    pub starts: Vec<usize>,
    pub columns: Vec<usize>,
    pub values: Vec<f64>,
    observations: usize,
}

impl Jacobian {
    pub fn new(scene: &Scene) -> Self {
        let (points, weights) = (CAMERA * scene.cameras.len(), CAMERA * scene.cameras.len() + 3 * scene.points.len());
        let mut columns = Vec::new();
        for (i, observation) in scene.observations.iter().enumerate() {
            let camera = CAMERA * observation.camera..CAMERA * (observation.camera + 1);
            let point = points + 3 * observation.point..points + 3 * (observation.point + 1);
            let row = camera.chain(point).chain([weights + i]);
            columns.extend(row.clone().chain(row));
        }
        columns.extend((0..scene.observations.len()).map(|i| weights + i));
        let observations = scene.observations.len();
        let dense = (0..2 * observations).map(|row| row * ARGUMENTS);
        let starts = dense.chain((0..=observations).map(|i| 2 * observations * ARGUMENTS + i)).collect();
        Jacobian { starts, values: vec![0.0; columns.len()], columns, observations }
    }

    fn reprojection_rows(&mut self, observation: usize) -> std::slice::ChunksExactMut<'_, f64> {
        self.values[2 * ARGUMENTS * observation..][..2 * ARGUMENTS].chunks_exact_mut(ARGUMENTS)
    }

    fn weight_row(&mut self, observation: usize) -> &mut f64 {
        &mut self.values[2 * ARGUMENTS * self.observations + observation]
    }
}
