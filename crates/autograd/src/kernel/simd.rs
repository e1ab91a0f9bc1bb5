//! Runs a loop with the widest vectors that the machine has, chosen when the program runs.

use std::sync::OnceLock;

/// The instruction sets that a loop is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What every machine of the target has: SSE2 on x86-64, NEON on AArch64.
    Plain,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// From the narrowest to the widest.
    #[cfg(test)]
    pub(crate) const ALL: &[Level] = &[
        Level::Plain,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512,
    ];

    /// The best level of this machine, found once: small loops ask for it every time.
    #[inline]
    pub(crate) fn best() -> Level {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(Level::find)
    }

    /// The widest level that the machine has and that the environment variable `RETRACE_SIMD` (`plain`, `avx2`) leaves.
    #[cold]
    fn find() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            let most = std::env::var("RETRACE_SIMD").unwrap_or_default();
            if !["plain", "avx2"].contains(&most.as_str()) && Level::Avx512.is_supported() {
                return Level::Avx512;
            }
            if most != "plain" && Level::Avx2.is_supported() {
                return Level::Avx2;
            }
        }
        Level::Plain
    }

    /// Whether this machine can run code of this level.
    pub(crate) fn is_supported(self) -> bool {
        match self {
            Level::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2.is_supported()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
            }
        }
    }
}

/// A loop that is to be compiled once per level. Closures are kernels too, but the compiler may refuse to inline a long
/// one, and then runs it at the plain level: a loop with much in its body implements this trait on a struct, with
/// `#[inline(always)]` on `run` and on every function that `run` reaches.
pub(crate) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

impl<R, F: FnOnce() -> R> Kernel for F {
    type Output = R;

    #[inline(always)]
    fn run(self) -> R {
        self()
    }
}

/// Runs `kernel`, compiled for the best level of this machine.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match Level::best() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::find` has seen that the processor has every feature `avx512` is compiled for.
        Level::Avx512 => unsafe { avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::find` has seen that the processor has every feature `avx2` is compiled for.
        Level::Avx2 => unsafe { avx2(kernel) },
        Level::Plain => kernel.run(),
    }
}

/// Runs `kernel`, compiled for `level`, or for the plain one where the machine lacks `level`.
#[cfg(test)]
pub(crate) fn dispatch_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the guard has just seen that the processor has every feature `avx512` is compiled for.
        Level::Avx512 if level.is_supported() => unsafe { avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the guard has just seen that the processor has every feature `avx2` is compiled for.
        Level::Avx2 if level.is_supported() => unsafe { avx2(kernel) },
        _ => kernel.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512vl,avx512bw,avx512dq")]
#[inline]
pub(crate) fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2")]
#[inline]
pub(crate) fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_runs_the_kernel_once() {
        for &level in Level::ALL {
            let mut runs = 0;
            let result = dispatch_at(level, || {
                runs += 1;
                level
            });
            assert_eq!((result, runs), (level, 1));
        }
        assert_eq!(dispatch(|| 7), 7);
    }

    #[test]
    fn the_best_level_is_the_widest_supported_one() {
        let most = std::env::var("RETRACE_SIMD").unwrap_or_default();
        let allowed = |level: &Level| match most.as_str() {
            "plain" => *level == Level::Plain,
            "avx2" => format!("{level:?}") != "Avx512",
            _ => true,
        };
        let widest = Level::ALL.iter().copied().rfind(|level| level.is_supported() && allowed(level));
        assert_eq!(Some(Level::best()), widest);
    }
}
