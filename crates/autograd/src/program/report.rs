//! What a program is made of, and how its inputs were run.

/// What a [`Program`](crate::Program) is made of, and how its inputs were run.
///
/// Each input that was run is a hit or a miss, and each miss was recorded or run eagerly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The forms of arguments of which paths are kept.
    pub forms: usize,
    /// The paths through the function that are kept.
    pub paths: usize,
    /// Inputs that took a path that was known.
    pub hits: usize,
    /// Inputs for which none was known, or none was tried.
    pub misses: usize,
    /// How often the function was recorded: for each path, and on it for each kind of derivative.
    pub recordings: usize,
    /// Inputs for which the function ran on a plain tape.
    pub eager: usize,
    /// Why it did the last time.
    pub why: Option<EagerReason>,
    /// Replays that were given up because a comparison came out differently.
    pub side_exits: usize,
    /// Paths that were given up because there were too many, or they took too much memory.
    pub forgotten: usize,
    /// Forms that were given up because there were too many, with their paths.
    pub forgotten_forms: usize,
    /// Operations that the recordings had, on all paths that are kept.
    pub recorded: usize,
    /// Operations that are left of them.
    pub operations: usize,
    /// Groups of equal operations on numbers that they run in; with tensors, steps.
    pub groups: usize,
    /// Bytes of all that was recorded.
    pub recorded_bytes: usize,
    /// Bytes of what is kept at once.
    pub bytes: usize,
}

/// Why a [`Program`](crate::Program) ran its function on a plain tape instead of replaying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EagerReason {
    /// A replay takes longer than the tape: operations wait for each other one by one, or all rows of a derivative come from one
    /// recording. Many inputs at once may still be replayed, in lanes.
    Slow,
    /// Inputs before this one left all paths that are known; replays are tried again after some runs.
    Irregular,
    /// Its path, or the form of its arguments, is new, and has not come so often that it is worth a recording.
    Rare,
}

impl std::fmt::Display for EagerReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EagerReason::Slow => "a replay would take longer than the tape",
            EagerReason::Irregular => "inputs left all known paths too often",
            EagerReason::Rare => "new paths or forms came too seldom to be worth a recording",
        })
    }
}

impl Report {
    /// What two parts of a program are and did.
    pub(in crate::program) fn and(self, other: Self) -> Self {
        Report {
            forms: self.forms + other.forms,
            paths: self.paths + other.paths,
            why: self.why.or(other.why),
            recorded: self.recorded + other.recorded,
            operations: self.operations + other.operations,
            groups: self.groups + other.groups,
            recorded_bytes: self.recorded_bytes + other.recorded_bytes,
            bytes: self.bytes + other.bytes,
            ..self.and_runs(other)
        }
    }

    /// What one part is, and what two parts did.
    pub(in crate::program) fn and_runs(self, other: Self) -> Self {
        Report {
            hits: self.hits + other.hits,
            misses: self.misses + other.misses,
            recordings: self.recordings + other.recordings,
            eager: self.eager + other.eager,
            side_exits: self.side_exits + other.side_exits,
            forgotten: self.forgotten + other.forgotten,
            forgotten_forms: self.forgotten_forms + other.forgotten_forms,
            ..self
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} operations in {} groups, {} of {} bytes, {} paths of {} forms, {} hits, recorded {} times, {} paths and \
             {} forms forgotten, {} replays given up, {} runs eager",
            self.operations,
            self.recorded,
            self.groups,
            self.bytes,
            self.recorded_bytes,
            self.paths,
            self.forms,
            self.hits,
            self.recordings,
            self.forgotten,
            self.forgotten_forms,
            self.side_exits,
            self.eager,
        )?;
        self.why.map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}
