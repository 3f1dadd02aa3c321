//! The standard streams. A reader that went away (`| head`) is no fault.

use super::{Failure, Outcome};
use serde_json::Value;
use std::io::{ErrorKind, Write};

pub fn text(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::from(error)),
        _ => Ok(()),
    }
}

pub fn line(line: &str) -> Outcome {
    text(&format!("{line}\n"))
}

pub fn json(value: &Value) -> Outcome {
    line(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// On the standard error stream.
pub fn complain(says: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{says}");
}

/// `rows` as columns under `titles`; each cell is the value under its key.
pub fn table(titles: &[(&str, &str)], rows: &[Value]) -> Outcome {
    let cells = |row: &Value| -> Vec<String> {
        titles.iter().map(|(_, key)| row.get(*key).map(cell).unwrap_or_default()).collect()
    };
    let mut lines: Vec<Vec<String>> = vec![titles.iter().map(|(title, _)| (*title).to_owned()).collect()];
    lines.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    text(&out)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}
