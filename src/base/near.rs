//! What somebody most likely meant who mistyped a word.

/// The known word a typist most likely meant: at most a third of its characters away.
pub fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let folded = |text: &str| text.to_lowercase().replace('-', "_");
    let word = folded(word);
    let distances = known.iter().map(|known| (distance(&word, &folded(known)), known.as_str()));
    let (away, near) = distances.min_by_key(|(away, _)| *away)?;
    let allowed = (word.chars().count().max(near.chars().count()) / 3).max(1);
    (away <= allowed).then_some(near)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
pub fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (i, l) in left.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&last, j) + usize::from(l != *r)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = j > 0 && previous == Some(*r) && right.get(j - 1) == Some(&l);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
        previous = Some(l);
    }
    last.last().copied().unwrap_or(0)
}
