//! A progress bar for training loops, on the terminal's standard error; silent where that is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far a training is: steps, loss, rate, time left.
///
/// The loss shown is a running mean over about the last fifty steps. Output that is not a terminal gets nothing.
///
/// ```
/// use nn::Progress;
///
/// let mut progress = Progress::new(100);
/// for step in 0..100 {
///     progress.step(1.0 / (step + 1) as f64, 1e-3);
/// }
/// progress.finish();
/// assert!(progress.loss() < 0.1);
/// ```
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    loss: f64,
    steps: u64,
}

const TEMPLATE: &str = "{bar:32} {pos}/{len} · {msg} · {per_sec} · {eta} left";

impl Progress {
    /// A bar for this many steps.
    pub fn new(steps: u64) -> Self {
        Self::with_bar(ProgressBar::new(steps))
    }

    fn with_bar(bar: ProgressBar) -> Self {
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        Self { bar, loss: 0.0, steps: 0 }
    }

    /// One step more, with its loss and learning rate.
    pub fn step(&mut self, loss: f64, rate: f64) {
        self.steps += 1;
        let part = (1.0 / self.steps as f64).max(0.02);
        self.loss += part * (loss - self.loss);
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("loss {:.4e} · rate {rate:.2e}", self.loss));
        }
        self.bar.inc(1);
    }

    /// The running mean of the loss.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The time since the bar was made.
    pub fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// Prints a line above the bar; on standard error too where there is no terminal.
    pub fn line(&self, text: &str) {
        if self.bar.is_hidden() { eprintln!("{text}") } else { self.bar.println(text) }
    }

    /// The bar stays as it is.
    pub fn finish(&self) {
        self.bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::ProgressDrawTarget;

    #[test]
    fn the_loss_is_a_mean_that_forgets() {
        let mut progress = Progress::with_bar(ProgressBar::with_draw_target(Some(400), ProgressDrawTarget::hidden()));
        progress.step(4.0, 0.1);
        progress.step(2.0, 0.1);
        assert_eq!(progress.loss(), 3.0);
        (0..398).for_each(|_| progress.step(1.0, 0.1));
        assert!((progress.loss() - 1.0).abs() < 0.01);
        assert_eq!(progress.bar.position(), 400);
        progress.finish();
    }
}
