//! A tree of plain values → typed settings, with every fault and not only the first.
//!
//! serde stops at its first error. So the node it stopped at is taken out, or replaced by a stand-in where it is
//! required, and reading begins anew until it goes through. What was taken out is remembered, so that its absence
//! is not reported as a second fault.

use super::locate::Aim;
use super::path::{Path, Step};
use super::tree::{Raw, Tree};
use super::words::Complaint;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Faults of one document after which reading gives up.
pub const MAX_FAULTS: usize = 100;

/// Readings of one document, whatever they find.
const MAX_READINGS: usize = 2_000;

/// What was read, and what had to be changed for it.
#[derive(Debug)]
pub struct Recovered<T> {
    /// `None`: not even with stand-ins.
    pub settings: Option<T>,
    /// Nodes that were taken out or stood in for, by the path they were written at.
    pub touched: BTreeSet<Path>,
    /// The words that stood in them: a later fault about one of them is an echo.
    pub lost_words: BTreeSet<String>,
    removed: Removed,
}

impl<T> Recovered<T> {
    /// The path in the document for a path in the settings: items that were taken out are counted again.
    pub fn written(&self, path: &Path) -> Path {
        self.removed.written(path)
    }
}

/// List items that were taken out, by the written path of their list.
#[derive(Debug, Default)]
struct Removed(BTreeMap<Path, BTreeSet<usize>>);

impl Removed {
    fn written(&self, current: &Path) -> Path {
        let mut written = Path::default();
        for step in &current.0 {
            let step = match (step, self.0.get(&written)) {
                (Step::Index(index), Some(gone)) => {
                    let mut kept = (0..).filter(|candidate| !gone.contains(candidate));
                    Step::Index(kept.nth(*index).unwrap_or(*index))
                }
                (step, _) => step.clone(),
            };
            written.0.push(step);
        }
        written
    }
}

pub fn read<T: DeserializeOwned>(tree: Tree, faults: &mut Vec<Raw>) -> Recovered<T> {
    let mut reader = Reader {
        value: tree.value,
        expanded: tree.expanded,
        stand_ins: BTreeMap::new(),
        touched: BTreeSet::new(),
        lost_words: BTreeSet::new(),
        removed: Removed::default(),
        faults,
        found: 0,
    };
    let mut settings = None;
    for _ in 0..MAX_READINGS {
        match serde_path_to_error::deserialize::<_, T>(&reader.value) {
            Ok(read) => {
                settings = Some(read);
                break;
            }
            Err(error) => {
                let at = Path::of(error.path());
                if reader.found >= MAX_FAULTS || !reader.go_on(at, &error.into_inner().to_string()) {
                    break;
                }
            }
        }
    }
    let Reader { touched, lost_words, removed, .. } = reader;
    Recovered { settings, touched, lost_words, removed }
}

struct Reader<'a> {
    value: Value,
    expanded: BTreeSet<Path>,
    /// Written path → which stand-in is there now, and words serde itself proposed for it.
    stand_ins: BTreeMap<Path, (usize, Vec<String>)>,
    touched: BTreeSet<Path>,
    lost_words: BTreeSet<String>,
    removed: Removed,
    faults: &'a mut Vec<Raw>,
    found: usize,
}

impl Reader<'_> {
    /// Changes the tree so that the next reading gets further. `false`: it cannot.
    fn go_on(&mut self, at: Path, message: &str) -> bool {
        let complaint = Complaint::of(message);
        let written = self.removed.written(&at);
        if let Some(stand_in) = self.stand_in_above(&written) {
            return self.next_stand_in(&at, stand_in, &complaint);
        }
        match &complaint {
            Complaint::UnknownKey { key, .. } => self.unknown_key(at, key, &complaint),
            Complaint::MissingKey { key } => {
                let (missing, there) = (at.key(key.clone()), written.key(key.clone()));
                if !self.touched.contains(&there) {
                    self.report(written, Aim::Value, &complaint);
                }
                self.put_stand_in(&missing, there, Vec::new())
            }
            _ if self.reread(&at, &written) => true,
            _ => {
                self.report_unfit(&at, &written, &complaint);
                self.lose(&at);
                let proposed = match complaint {
                    Complaint::UnknownWord { known, .. } => known,
                    _ => Vec::new(),
                };
                self.take_out(&at, written, proposed)
            }
        }
    }

    /// A word where one of a few is wanted may be the key of a one-key map: then that key is the place.
    fn report_unfit(&mut self, at: &Path, written: &Path, complaint: &Complaint) {
        if let Complaint::UnknownWord { word, .. } = complaint
            && at.key(word.clone()).of_tree(&self.value).is_some()
        {
            self.report(written.key(word.clone()), Aim::Key, complaint);
        } else {
            self.report(written.clone(), Aim::Value, complaint);
        }
    }

    fn report(&mut self, path: Path, aim: Aim, complaint: &Complaint) {
        self.found += 1;
        self.faults.push(Raw::new(path, aim, complaint.says()));
    }

    fn unknown_key(&mut self, at: Path, key: &str, complaint: &Complaint) -> bool {
        // The path ends with the key, or with the map that has it.
        let whole = at.key(key);
        let at = if whole.of_tree(&self.value).is_some() { whole } else { at };
        let written = self.removed.written(&at);
        self.report(written.clone(), Aim::Key, complaint);
        self.lose(&at);
        self.touched.insert(written);
        remove(&mut self.value, &at)
    }

    /// A text that came out of the environment may be meant as a number or a truth value.
    fn reread(&mut self, at: &Path, written: &Path) -> bool {
        if !self.expanded.remove(written) {
            return false;
        }
        let Some(node) = at.of_tree_mut(&mut self.value) else { return false };
        match node.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            Some(other) if other.is_number() || other.is_boolean() => {
                *node = other;
                true
            }
            _ => false,
        }
    }

    /// Remembers the words of a node that is about to go.
    fn lose(&mut self, at: &Path) {
        if let Some(Step::Key(key)) = at.0.last() {
            self.lost_words.insert(key.clone());
        }
        if let Some(node) = at.of_tree(&self.value) {
            words(node, &mut self.lost_words);
        }
    }

    /// Takes the node out of its map, so that its default or its absence holds; in a list, something stands in for it.
    fn take_out(&mut self, at: &Path, written: Path, proposed: Vec<String>) -> bool {
        match at.0.last() {
            None => false,
            Some(Step::Key(_)) if proposed.is_empty() => {
                self.touched.insert(written);
                remove(&mut self.value, at)
            }
            Some(_) => self.put_stand_in(at, written, proposed),
        }
    }

    fn put_stand_in(&mut self, at: &Path, written: Path, proposed: Vec<String>) -> bool {
        let put = self.stand_in(0, &proposed).is_some_and(|value| put(&mut self.value, at, value));
        self.touched.insert(written.clone());
        self.stand_ins.insert(written, (0, proposed));
        put
    }

    fn stand_in_above(&self, written: &Path) -> Option<Path> {
        self.stand_ins.keys().find(|stand_in| written.is_within(stand_in)).cloned()
    }

    /// The stand-in did not fit: tries the next, and takes out what it is in when none does.
    fn next_stand_in(&mut self, at: &Path, there: Path, complaint: &Complaint) -> bool {
        let here = Path(at.0.iter().take(there.0.len()).cloned().collect());
        let Some((turn, mut proposed)) = self.stand_ins.remove(&there) else { return false };
        if let Complaint::UnknownWord { known, .. } = complaint
            && proposed.is_empty()
        {
            proposed.clone_from(known);
        }
        if let Some(value) = self.stand_in(turn + 1, &proposed) {
            self.stand_ins.insert(there, (turn + 1, proposed));
            return put(&mut self.value, &here, value);
        }
        if let Some(Step::Index(_)) = here.0.last() {
            return self.remove_item(&here, &there);
        }
        let Some((above, _)) = here.split() else { return false };
        self.lose(&above);
        let written = self.removed.written(&above);
        match above.0.last() {
            None => false,
            Some(Step::Index(_)) => self.remove_item(&above, &written),
            Some(Step::Key(_)) => {
                self.stand_ins.retain(|path, _| !path.is_within(&written));
                self.touched.insert(written);
                remove(&mut self.value, &above)
            }
        }
    }

    fn remove_item(&mut self, at: &Path, written: &Path) -> bool {
        self.stand_ins.retain(|path, _| !path.is_within(written));
        self.touched.insert(written.clone());
        if let Some((list, Step::Index(index))) = written.split() {
            self.removed.0.entry(list).or_default().insert(*index);
        }
        remove(&mut self.value, at)
    }

    /// Values of every kind settings have, then the words serde said it would take.
    fn stand_in(&self, turn: usize, proposed: &[String]) -> Option<Value> {
        let general = [
            json!("stand-in"),
            json!("https://stand-in.invalid"),
            json!("127.0.0.1:1"),
            json!("1s"),
            json!(1),
            json!(true),
            json!([]),
            json!({}),
        ];
        let words = proposed.iter().map(|word| json!(word));
        if proposed.is_empty() {
            general.into_iter().nth(turn)
        } else {
            words.chain(general.into_iter().skip(6)).nth(turn)
        }
    }
}

fn words(node: &Value, into: &mut BTreeSet<String>) {
    match node {
        Value::String(word) => {
            into.insert(word.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, into)),
        Value::Object(map) => {
            for (key, value) in map {
                into.insert(key.clone());
                words(value, into);
            }
        }
        _ => {}
    }
}

fn remove(tree: &mut Value, at: &Path) -> bool {
    let Some((above, step)) = at.split() else { return false };
    match (above.of_tree_mut(tree), step) {
        (Some(Value::Object(map)), Step::Key(key)) => map.shift_remove(key).is_some(),
        (Some(Value::Array(list)), Step::Index(index)) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    }
}

fn put(tree: &mut Value, at: &Path, value: Value) -> bool {
    let Some((above, step)) = at.split() else { return false };
    match (above.of_tree_mut(tree), step) {
        (Some(Value::Object(map)), Step::Key(key)) => {
            map.insert(key.clone(), value);
            true
        }
        (Some(Value::Array(list)), Step::Index(index)) => {
            list.get_mut(*index).map(|node| *node = value).is_some()
        }
        _ => false,
    }
}
