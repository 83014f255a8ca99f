//! Each room of `src` uses only rooms above it. Which there are, and in which order, is said by the table in CONTRIBUTING.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The rooms in the order of the table, each with its row. Two of one row may use each other.
fn rooms() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(Path::new(ROOT).join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).enumerate();
    rows.flat_map(|(row, names)| names.split(", ").filter_map(move |name| Some((room(name)?, row)))).collect()
}

/// The room that a name in the table stands for: `src/trace.rs` and `src/model` are rooms.
fn room(name: &str) -> Option<String> {
    let path = name.strip_prefix("`src/")?.strip_suffix('`')?;
    Some(path.strip_suffix(".rs").unwrap_or(path).to_owned())
}

/// The room of a file in `src`.
fn room_of(file: &Path) -> String {
    let within = file.strip_prefix(Path::new(ROOT).join("src")).expect("a file of src");
    let first = within.components().next().expect("a name").as_os_str().to_string_lossy();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

/// The rooms that this text uses, but for its comments and its tests, which may use what they like.
fn uses(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    code.flat_map(|line| line.split("crate::").skip(1)).map(word).collect()
}

/// What of `uses` is not at or above the row of `room`.
fn below(rooms: &BTreeMap<String, usize>, room: &str, uses: &BTreeSet<String>) -> Vec<String> {
    let own = rooms[room];
    uses.iter().filter(|used| rooms.get(*used).is_some_and(|row| *row > own)).cloned().collect()
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
fn each_room_uses_only_rooms_above_it() {
    let rooms = rooms();
    let mut all = Vec::new();
    files(&Path::new(ROOT).join("src"), &mut all);
    let mut seen = BTreeSet::new();
    for file in all.iter().filter(|file| !file.ends_with("tests.rs") && !file.ends_with("src/lib.rs")) {
        let room = room_of(file);
        assert!(rooms.contains_key(&room), "CONTRIBUTING.md has no row for `{room}`");
        let below = below(&rooms, &room, &uses(&fs::read_to_string(file).expect("a source")));
        assert!(below.is_empty(), "{}: `{room}` uses {below:?}, which is below it", file.display());
        seen.insert(room);
    }
    let missing: Vec<_> = rooms.keys().filter(|room| !seen.contains(*room)).collect();
    assert!(missing.is_empty(), "CONTRIBUTING.md has rows for {missing:?}, which are not there");
}

#[test]
fn what_is_used_from_below_is_found() {
    let rooms = BTreeMap::from([("scenario".to_owned(), 0), ("model".to_owned(), 1), ("report".to_owned(), 2)]);
    let text = "use crate::scenario::Event;\n// as crate::report does\nfn f() { crate::report::f() }\n#[cfg(test)]\nmod tests { use crate::hunt; }";
    let used = uses(text);
    assert_eq!(used, BTreeSet::from(["report".to_owned(), "scenario".to_owned()]));
    assert_eq!(below(&rooms, "model", &used), ["report"]);
    assert!(below(&rooms, "report", &used).is_empty());
}
