//! The storeys of `autograd`, as ARCHITECTURE.md states them: an arrow from one module to another never goes up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(String::from).collect()
}

/// The rows of the table under a heading of ARCHITECTURE.md, as cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root("ARCHITECTURE.md")).unwrap();
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("{heading} is missing"));
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()).collect()
}

/// The source files below a folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, files),
            false => files.push(path),
        }
    }
}

/// Which modules of the crate each module names in its code, tests left out, with a file that does.
fn arrows() -> BTreeMap<(String, String), PathBuf> {
    let folder = root("crates/autograd/src");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let mut arrows = BTreeMap::new();
    for path in files.iter().filter(|path| !path.ends_with("tests.rs") && !path.ends_with("lib.rs")) {
        let first = path.strip_prefix(&folder).unwrap().components().next().unwrap();
        let from = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap().to_string();
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for to in lines.flat_map(|line| line.split("crate::").skip(1)) {
            let to: String = to.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if to.chars().next().is_some_and(char::is_lowercase) && to != from {
                arrows.entry((from.clone(), to)).or_insert_with(|| path.clone());
            }
        }
    }
    arrows
}

#[test]
fn no_arrow_goes_up() {
    let storeys: BTreeMap<String, usize> = (table("## Storeys").iter().enumerate())
        .flat_map(|(storey, row)| quoted(&row[1]).into_iter().map(move |module| (module, storey)))
        .collect();
    let exceptions: Vec<Vec<String>> =
        table("## Storeys").iter().flat_map(|row| row.get(3)).map(|cell| quoted(cell)).collect();
    let exceptions = exceptions.concat();
    let of = |module: &str| *storeys.get(module).unwrap_or_else(|| panic!("`{module}` is on no storey"));
    let tests = ["laws", "testing"];
    for ((from, to), path) in
        arrows().iter().filter(|((from, to), _)| !tests.contains(&&**from) && !tests.contains(&&**to))
    {
        let arrow = format!("{from} → {to}");
        assert!(of(from) >= of(to) || exceptions.contains(&arrow), "{arrow} goes up, in {}", path.display());
    }
}
