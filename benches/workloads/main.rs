//! How long does a training step take? Eight workloads, each in its phases (forward, forward and backward, whole step), in the
//! form of JSON lines that scripts for other engines print too.
//!
//!     cargo bench --bench workloads -- [--only W1,W3] [--seconds S] [--threads N]

mod bench;
mod convolution;
mod dense;
mod elementwise;
mod recurrent;
#[path = "../support/report.rs"]
mod report;
mod transformer;

use autograd::Result;
use bench::Bench;
use rand::SeedableRng;
use rand::rngs::StdRng;
use report::Options;

type Workload = fn(&mut Bench<'_>, StdRng) -> Result<()>;

const WORKLOADS: [(&str, Workload); 8] = [
    ("W1", dense::w1),
    ("W2", dense::w2),
    ("W3", dense::w3),
    ("W4", convolution::w4),
    ("W5", recurrent::w5),
    ("W6", transformer::w6),
    ("W7", elementwise::w7),
    ("W8", elementwise::w8),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::start()?;
    for (name, run) in WORKLOADS {
        if options.wants(name) {
            run(&mut Bench { name, options: &options }, StdRng::seed_from_u64(0))?;
        }
    }
    Ok(())
}
