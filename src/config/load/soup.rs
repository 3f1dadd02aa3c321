//! Configurations as slips of the finger make them: the ones that ship with lines lost, doubled, moved, shortened and
//! replaced. Each is taken, or told about with places that exist.

use super::*;
use proptest::prelude::*;

fn shipped() -> impl Strategy<Value = String> {
    let all: Vec<String> = ["quickstart", "edge", "op-only", "conformance"]
        .iter()
        .map(|name| std::fs::read_to_string(format!("conf/{name}.yaml")).unwrap())
        .collect();
    proptest::sample::select(all)
}

const SPOONS: &[&str] = &[
    "",
    "{",
    "[",
    "]",
    ":",
    "- ",
    "\t",
    "&a",
    "*a",
    "<<: *a",
    "!!binary x",
    "? x",
    "|",
    "${HOME}",
    "\u{0}",
    "'",
    "\"",
    "~",
    "op:",
    "op: {}",
    "routes: 1",
    "front: []",
    "    issuer: http://x",
    "x: &x [*x]",
    "%YAML 3",
    "---",
    "...",
    "1e999",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slip_of_the_finger_is_told_with_its_place(
        text in shipped(),
        slips in proptest::collection::vec((0_usize..200, 0_usize..5, 0..SPOONS.len()), 1..4),
    ) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (at, kind, spoon) in slips {
            let at = at % lines.len();
            match kind {
                0 => { lines.remove(at); }
                1 => { let line = lines[at].clone(); lines.insert(at, line); }
                2 => { let half = lines[at].chars().count() / 2; lines[at] = lines[at].chars().take(half).collect(); }
                3 => SPOONS[spoon].clone_into(&mut lines[at]),
                _ => lines[at].push_str(SPOONS[spoon]),
            }
        }
        let text = lines.join("\n");
        if let Err(faults) = load_text(FilePath::new("conf/slip.yaml"), &text, &|_| None) {
            prop_assert!(faults.iter().count() > 0);
            for fault in faults.iter().filter(|fault| fault.file == FilePath::new("conf/slip.yaml")) {
                let line = fault.place.map_or(1, |place| place.line);
                prop_assert!(line <= lines.len() + 1, "{fault}");
            }
        }
    }
}
