//! The outcomes of comparisons on all paths, as a tree: what paths have in common at their beginning stands in it once.

use smallvec::SmallVec;

/// How a comparison came out, and with which number if it was taken out of the recording.
pub(in crate::program) type Outcome = (bool, Option<u64>);

const ROOT: u32 = 0;

/// No path ends at a node.
const NO_PATH: usize = usize::MAX;

/// Outcomes that all paths through here have one after the other.
#[derive(Debug)]
struct OutcomeNode {
    parent: u32,
    /// How many outcomes stand before.
    start: usize,
    outcomes: Vec<Outcome>,
    /// What may follow; each begins with another outcome.
    next: SmallVec<[u32; 2]>,
    /// The path that ends here.
    path: usize,
}

/// Paths, by the outcomes on them.
#[derive(Debug)]
pub(in crate::program) struct OutcomeTree {
    nodes: Vec<OutcomeNode>,
    free: Vec<u32>,
    /// Where each path ends.
    ends: Vec<u32>,
}

impl Default for OutcomeTree {
    fn default() -> Self {
        let root = OutcomeNode { parent: ROOT, start: 0, outcomes: Vec::new(), next: SmallVec::new(), path: NO_PATH };
        OutcomeTree { nodes: vec![root], free: Vec::new(), ends: Vec::new() }
    }
}

impl OutcomeTree {
    /// The path that has these outcomes and no more.
    pub fn find(&self, outcomes: &[Outcome]) -> Option<usize> {
        let (node, within, taken) = self.walk(outcomes);
        let node = &self.nodes[node as usize];
        let is_end = within == node.outcomes.len() && taken == outcomes.len() && node.path != NO_PATH;
        is_end.then_some(node.path)
    }

    /// Adds a path that is not there.
    pub fn insert(&mut self, outcomes: &[Outcome], path: usize) {
        let (mut at, within, taken) = self.walk(outcomes);
        if within < self.nodes[at as usize].outcomes.len() {
            self.split(at, within);
        }
        if taken < outcomes.len() {
            let outcomes = outcomes[taken..].to_vec();
            at = self.add(OutcomeNode { parent: at, start: taken, outcomes, next: SmallVec::new(), path: NO_PATH });
        }
        self.nodes[at as usize].path = path;
        self.ends.resize(self.ends.len().max(path + 1), ROOT);
        self.ends[path] = at;
    }

    /// Takes a path out.
    pub fn remove(&mut self, path: usize) {
        let mut at = self.ends[path];
        self.nodes[at as usize].path = NO_PATH;
        while at != ROOT && self.nodes[at as usize].path == NO_PATH && self.nodes[at as usize].next.is_empty() {
            let parent = self.nodes[at as usize].parent;
            self.nodes[parent as usize].next.retain(|next| *next != at);
            self.nodes[at as usize].outcomes = Vec::new();
            self.free.push(at);
            at = parent;
        }
        self.join(at);
    }

    /// Shows the paths that agree with `path` before an outcome and have another one there, with how many outcomes they have.
    /// Where a number was taken out, they have another number, which the input may have or not.
    pub fn turned(&self, path: usize, ordinal: usize, mut show: impl FnMut(usize, usize)) {
        let mut at = self.ends[path];
        while self.nodes[at as usize].start > ordinal {
            at = self.nodes[at as usize].parent;
        }
        let node = &self.nodes[at as usize];
        if at == ROOT || node.start != ordinal {
            return;
        }
        let mut waiting: Vec<u32> =
            self.nodes[node.parent as usize].next.iter().copied().filter(|&k| k != at).collect();
        while let Some(next) = waiting.pop() {
            let node = &self.nodes[next as usize];
            if node.path != NO_PATH {
                show(node.path, node.start + node.outcomes.len());
            }
            waiting.extend(&node.next);
        }
    }

    /// The bytes that all outcomes take.
    pub fn bytes(&self) -> usize {
        let outcomes: usize = self.nodes.iter().map(|node| node.outcomes.len()).sum();
        outcomes * size_of::<Outcome>() + self.nodes.len() * size_of::<OutcomeNode>()
    }

    /// As far as outcomes are there: the node, how many of its own they have, and how many of them these are.
    fn walk(&self, outcomes: &[Outcome]) -> (u32, usize, usize) {
        let mut at = ROOT;
        loop {
            let node = &self.nodes[at as usize];
            let rest = &outcomes[node.start..];
            let within = node.outcomes.iter().zip(rest).take_while(|(known, found)| known == found).count();
            let taken = node.start + within;
            let follows = |&&next: &&u32| self.nodes[next as usize].outcomes.first() == outcomes.get(taken);
            match node.next.iter().find(follows) {
                Some(&next) if within == node.outcomes.len() && taken < outcomes.len() => at = next,
                _ => return (at, within, taken),
            }
        }
    }

    fn add(&mut self, node: OutcomeNode) -> u32 {
        let parent = node.parent;
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        self.nodes[parent as usize].next.push(at);
        at
    }

    /// Moves what a node has behind its first outcomes to a node of its own.
    fn split(&mut self, at: u32, within: usize) {
        let node = &mut self.nodes[at as usize];
        let (outcomes, start) = (node.outcomes.split_off(within), node.start + within);
        let (next, path) = (std::mem::take(&mut node.next), std::mem::replace(&mut node.path, NO_PATH));
        let below = self.add(OutcomeNode { parent: at, start, outcomes, next, path });
        self.adopt(below);
    }

    /// Takes what alone follows a node into it.
    fn join(&mut self, at: u32) {
        let node = &self.nodes[at as usize];
        let &[below] = &node.next[..] else { return };
        if at == ROOT || node.path != NO_PATH {
            return;
        }
        let below_node = &mut self.nodes[below as usize];
        let (outcomes, next) = (std::mem::take(&mut below_node.outcomes), std::mem::take(&mut below_node.next));
        let path = std::mem::replace(&mut below_node.path, NO_PATH);
        let node = &mut self.nodes[at as usize];
        node.outcomes.extend(outcomes);
        (node.next, node.path) = (next, path);
        self.free.push(below);
        self.adopt(at);
    }

    /// Tells what follows a node, and the path that ends there, where it is.
    fn adopt(&mut self, at: u32) {
        let node = &self.nodes[at as usize];
        if node.path != NO_PATH {
            self.ends[node.path] = at;
        }
        for next in node.next.clone() {
            self.nodes[next as usize].parent = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes of few kinds, so that paths have much in common.
    fn draw(state: &mut u64) -> Vec<Outcome> {
        let mut next = || {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *state >> 40
        };
        let len = next() % 12;
        (0..len).map(|_| [(true, None), (false, None), (true, Some(1)), (true, Some(2))][next() as usize % 4]).collect()
    }

    #[test]
    fn paths_are_found_as_by_comparing_them_all() {
        let (mut tree, mut paths, mut state) = (OutcomeTree::default(), Vec::<Option<Vec<Outcome>>>::new(), 1);
        for step in 0..3000 {
            let outcomes = draw(&mut state);
            let known = paths.iter().position(|path| path.as_ref() == Some(&outcomes));
            assert_eq!(tree.find(&outcomes), known);
            match known {
                Some(known) if step % 3 == 0 => {
                    tree.remove(known);
                    paths[known] = None;
                }
                None if paths.iter().flatten().count() < 40 => {
                    let at = paths.iter().position(Option::is_none).unwrap_or(paths.len());
                    paths.resize(paths.len().max(at + 1), None);
                    tree.insert(&outcomes, at);
                    paths[at] = Some(outcomes);
                }
                _ => {
                    let at = step % paths.len();
                    if paths[at].take().is_some() {
                        tree.remove(at);
                    }
                }
            }
            let all = || paths.iter().enumerate().filter_map(|(at, path)| Some((at, path.as_ref()?)));
            for (at, path) in all() {
                for ordinal in 0..path.len() {
                    let turned = |other: &Vec<Outcome>| {
                        other.get(..ordinal) == Some(&path[..ordinal])
                            && other.get(ordinal).is_some_and(|outcome| *outcome != path[ordinal])
                    };
                    let mut found = Vec::new();
                    tree.turned(at, ordinal, |path, len| found.push((path, len)));
                    found.sort_unstable();
                    let expected: Vec<_> = all().filter(|(_, other)| turned(other)).collect();
                    assert_eq!(found, expected.iter().map(|(at, path)| (*at, path.len())).collect::<Vec<_>>());
                }
            }
        }
        paths.iter().enumerate().filter(|(_, path)| path.is_some()).for_each(|(at, _)| tree.remove(at));
        assert_eq!((tree.nodes[0].next.len(), tree.nodes.len()), (0, tree.free.len() + 1));
    }
}
