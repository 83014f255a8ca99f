//! Each module of `src` (here called a module) uses only modules above it in the table in CONTRIBUTING.md, or in the same row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The modules, each with its row in the table. Modules in one row may use each other.
fn modules() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(Path::new(ROOT).join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).enumerate();
    rows.flat_map(|(row, names)| names.split(", ").filter_map(move |name| Some((module(name)?, row)))).collect()
}

/// The module that a table entry names: `src/trace.rs` and `src/model` are modules.
fn module(name: &str) -> Option<String> {
    let path = name.strip_prefix("`src/")?.strip_suffix('`')?;
    Some(path.strip_suffix(".rs").unwrap_or(path).to_owned())
}

/// The module of a file in `src`: its first path component.
fn top_module_of(file: &Path) -> String {
    let within = file.strip_prefix(Path::new(ROOT).join("src")).expect("a file of src");
    let first = within.components().next().expect("a name").as_os_str().to_string_lossy();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

/// The modules that this source text uses. Comments and tests are skipped, because they may use any module.
fn uses(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    code.flat_map(|line| line.split("crate::").skip(1)).map(word).collect()
}

/// Those of `uses` that are below the row of `module`.
fn below(modules: &BTreeMap<String, usize>, module: &str, uses: &BTreeSet<String>) -> Vec<String> {
    let own = modules[module];
    uses.iter().filter(|used| modules.get(*used).is_some_and(|row| *row > own)).cloned().collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_module_uses_only_modules_above_it() {
    let modules = modules();
    let mut all = Vec::new();
    files(&Path::new(ROOT).join("src"), &mut all);
    let mut seen = BTreeSet::new();
    for file in all.iter().filter(|file| !file.ends_with("tests.rs") && !file.ends_with("src/lib.rs")) {
        let module = top_module_of(file);
        assert!(modules.contains_key(&module), "CONTRIBUTING.md has no row for `{module}`");
        let below = below(&modules, &module, &uses(&fs::read_to_string(file).expect("a source")));
        assert!(below.is_empty(), "{}: `{module}` uses {below:?}, which is below it", file.display());
        seen.insert(module);
    }
    let missing: Vec<_> = modules.keys().filter(|module| !seen.contains(*module)).collect();
    assert!(missing.is_empty(), "CONTRIBUTING.md has rows for {missing:?}, which are not there");
}

#[test]
fn what_is_used_from_below_is_found() {
    let modules = BTreeMap::from([("scenario".to_owned(), 0), ("model".to_owned(), 1), ("report".to_owned(), 2)]);
    let text = "use crate::scenario::Event;\n// as crate::report does\nfn f() { crate::report::f() }\n#[cfg(test)]\nmod tests { use crate::hunt; }";
    let used = uses(text);
    assert_eq!(used, BTreeSet::from(["report".to_owned(), "scenario".to_owned()]));
    assert_eq!(below(&modules, "model", &used), ["report"]);
    assert!(below(&modules, "report", &used).is_empty());
}

/// The module path of a file: `linux::process::tasks` for `src/linux/process/tasks.rs`.
fn module_of(file: &Path) -> Vec<String> {
    let within = file.strip_prefix(Path::new(ROOT).join("src")).expect("a file of src").with_extension("");
    let mut parts: Vec<String> =
        within.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The paths in this text that begin with `crate` or `super`. A `use` with braces gives one path for each name.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let starts = ["crate::", "super::"].iter().flat_map(|word| code.match_indices(word).map(|(at, _)| at));
    // The second `super` in `super::super` is part of the same path.
    let starts = starts.filter(|at| !code[..*at].ends_with("::"));
    starts.flat_map(|at| expanded(&code[at..])).collect()
}

/// The paths at the beginning of this text.
fn expanded(text: &str) -> Vec<Vec<String>> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let stem: Vec<String> = text[..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let Some(inner) = text[end..].strip_prefix('{').filter(|_| text[..end].ends_with("::")) else { return vec![stem] };
    let mut depth = 0;
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let more = expanded(inner[start..at].trim_start());
                found.extend(more.into_iter().map(|more| [stem.clone(), more].concat()));
                start = at + 1;
            }
            _ => {}
        }
        if c == '}' && depth == 0 && start == at + 1 {
            break;
        }
    }
    found
}

/// For each of these modules the indices of the modules that it uses.
fn graph(modules: &[(Vec<String>, String)]) -> Vec<BTreeSet<usize>> {
    let used = |own: &[String], path: &[String]| {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let base = if ups > 0 { &own[..own.len().checked_sub(ups)?] } else { &[] };
        let whole = [base, &path[ups.max(1)..]].concat();
        // The longest prefix that is a file. The rest of the path names items in that file.
        (1..=whole.len()).rev().find_map(|len| modules.iter().position(|(module, _)| *module == whole[..len]))
    };
    let of = |(own, text): &(Vec<String>, String)| paths(text).iter().filter_map(|path| used(own, path)).collect();
    modules.iter().map(of).collect()
}

/// A cycle of this graph, if there is one: each module uses the next, and the last uses the first.
fn circle(graph: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    fn walk(at: usize, graph: &[BTreeSet<usize>], way: &mut Vec<usize>, done: &mut BTreeSet<usize>) -> bool {
        if let Some(start) = way.iter().position(|on_it| *on_it == at) {
            way.drain(..start);
            return true;
        }
        if !done.contains(&at) {
            way.push(at);
            // A module's use of itself is not a cycle.
            if graph[at].iter().any(|next| *next != at && walk(*next, graph, way, done)) {
                return true;
            }
            way.pop();
            done.insert(at);
        }
        false
    }
    let mut done = BTreeSet::new();
    (0..graph.len()).find_map(|start| {
        let mut way = Vec::new();
        walk(start, graph, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_files_of_linux_use_each_other_in_a_circle() {
    let mut all = Vec::new();
    files(&Path::new(ROOT).join("src/linux"), &mut all);
    let sources = all.iter().filter(|file| !file.ends_with("tests.rs"));
    let modules: Vec<_> = sources.map(|file| (module_of(file), fs::read_to_string(file).expect("a source"))).collect();
    // A file and the files in its own folder may use each other: they are one module in several files.
    let is_of =
        |part: &[String], whole: &[String]| part.len() > whole.len() && part.starts_with(whole) && whole.len() > 1;
    let mut graph = graph(&modules);
    for (i, used) in graph.iter_mut().enumerate() {
        used.retain(|k| !is_of(&modules[i].0, &modules[*k].0) && modules[*k].0.len() > 1);
    }
    let found = circle(&graph).map(|way| way.iter().map(|i| modules[*i].0.join("::")).collect::<Vec<_>>());
    assert_eq!(found, None, "each of these uses the next, and the last the first");
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str, text: &str| (vec!["linux".to_owned(), name.to_owned()], text.to_owned());
    let circle_of = |modules: &[(Vec<String>, String)]| circle(&graph(modules));
    let one = module("one", "use crate::linux::{two::{A, B}, four};");
    let two = module("two", "// super::one\nuse super::three::C;");
    assert_eq!(circle_of(&[one.clone(), two.clone(), module("three", "fn f() { crate::scenario::f() }")]), None);
    let three = module("three", "fn f() { super::one::g() }");
    assert_eq!(circle_of(&[module("four", ""), one, two, three]), Some(vec![1, 2, 3]));
}

/// The paths of source files that this text names between backquotes: those with a folder and the ending `.rs`.
fn named_files(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.ends_with(".rs") && name.contains('/') && !name.contains(char::is_whitespace)).collect()
}

#[test]
fn every_source_file_that_the_documentation_names_exists() {
    let root = Path::new(ROOT);
    let mut documents = vec![root.join("CONTRIBUTING.md"), root.join("README.md"), root.join("fuzz/README.md")];
    documents.extend(fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path()));
    let mut count = 0;
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document");
        for name in named_files(&text) {
            let exists = ["", "src", "fuzz"].iter().any(|folder| root.join(folder).join(name).is_file());
            assert!(exists, "{}: there is no `{name}`", document.display());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} names of files were found");
}
