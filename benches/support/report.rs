//! What the benches of workloads share: their options, and the line of JSON for each measurement.

use clap::Parser;

#[derive(Parser)]
pub struct Options {
    /// Workloads, separated by commas; all without it
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Time for each measurement
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Threads; 0 is one for each processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// The options of the command line, and the threads that they ask for.
    pub fn start() -> Result<Self, rayon::ThreadPoolBuildError> {
        let options = Options::parse();
        // The main thread is one of them. Else it would wait while others work, and wake one for every loop.
        rayon::ThreadPoolBuilder::new().num_threads(options.threads).use_current_thread().build_global()?;
        Ok(options)
    }

    pub fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == workload)
    }
}

/// Prints the median and the minimum of some times, in seconds, each multiplied by `scale`; and the memory of an operation, where
/// somebody asks for it.
pub fn print(workload: &str, phase: &str, times: &mut [f64], (unit, scale): (&str, f64), bytes_per_op: Option<f64>) {
    times.sort_by(f64::total_cmp);
    let bytes_per_op = bytes_per_op.map_or(String::new(), |bytes| format!(r#", "bytes_per_op": {bytes:.1}"#));
    println!(
        r#"{{"peer": "retrace", "version": "{}", "threads": {}, "workload": "{workload}", "phase": "{phase}", "median_{unit}": {:.6}, "min_{unit}": {:.6}, "rss_mb": {}{bytes_per_op}}}"#,
        env!("CARGO_PKG_VERSION"),
        rayon::current_num_threads(),
        times[times.len() / 2] * scale,
        times[0] * scale,
        peak_memory() / 1024,
    );
}

/// Peak resident memory in KiB; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
