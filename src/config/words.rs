//! serde's errors in an operator's words, with a "did you mean".

pub use crate::base::near::nearest;

/// What serde complains about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Complaint {
    /// A key nobody reads.
    UnknownKey {
        key: String,
        known: Vec<String>,
    },
    /// A word where one of a few is wanted.
    UnknownWord {
        word: String,
        known: Vec<String>,
    },
    MissingKey {
        key: String,
    },
    /// A value of another kind, or out of its range.
    Unfit {
        says: String,
    },
}

impl Complaint {
    pub fn of(message: &str) -> Complaint {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let (first, rest) = quoted.split_first().map_or((String::new(), Vec::new()), |(first, rest)| {
            (first.to_string(), rest.iter().map(|word| word.to_string()).collect())
        });
        if message.starts_with("unknown field `") {
            Complaint::UnknownKey { key: first, known: rest }
        } else if message.starts_with("unknown variant `") {
            Complaint::UnknownWord { word: first, known: rest }
        } else if message.starts_with("missing field `") {
            Complaint::MissingKey { key: first }
        } else {
            Complaint::Unfit { says: unfit(message) }
        }
    }

    pub fn says(&self) -> String {
        match self {
            Complaint::UnknownKey { key, known } if known.is_empty() => {
                format!("unknown key `{key}`: nothing is known here, remove it")
            }
            Complaint::UnknownKey { key, known } => format!("unknown key `{key}`: {}", advice(key, known)),
            Complaint::UnknownWord { word, known } => {
                format!("unknown word `{word}`: {}", advice(word, known))
            }
            Complaint::MissingKey { key } => format!("`{key}` is missing: add it"),
            Complaint::Unfit { says } => says.clone(),
        }
    }
}

/// "did you mean `x`?" or what is known.
pub fn advice(word: &str, known: &[String]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// `invalid type: integer `5`, expected a string` and its kind.
fn unfit(message: &str) -> String {
    let body = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|start| message.strip_prefix(start));
    let Some((found, expected)) = body.and_then(|body| body.rsplit_once(", expected ")) else {
        return message.to_owned();
    };
    format!("expected {}, found {}", kind(expected), thing(found))
}

fn kind(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "a nonzero u32" | "a nonzero u16" | "a nonzero usize" => {
            "a whole number"
        }
        "a string" | "path string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a map of keys",
        other if other.starts_with("struct ") => "a map of keys",
        other if other.starts_with("enum ") || other.ends_with("string or map") => {
            "a word or a map with one key"
        }
        other => other,
    }
}

fn thing(found: &str) -> String {
    match found {
        "null" | "unit" => "nothing".into(),
        "map" => "a map".into(),
        "sequence" => "a list".into(),
        other => {
            let other = other.strip_prefix("string ").unwrap_or(other);
            other.replace("integer ", "").replace("floating point ", "").replace("boolean ", "")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::near::distance;

    fn known(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| word.to_string()).collect()
    }

    #[test]
    fn a_typist_is_understood_within_reason() {
        let words = known(&["listen", "limits", "tls", "access_log", "policy"]);
        for (typed, meant) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("Listen", Some("listen")),
            ("limit", Some("limits")),
            ("access-log", Some("access_log")),
            ("accesslog", Some("access_log")),
            ("tsl", Some("tls")),
            ("upstream", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, &words), meant, "{typed}");
        }
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn distances_count_single_slips() {
        for (left, right, away) in
            [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(left, right), away, "{left} {right}");
        }
    }

    #[test]
    fn complaints_read_as_advice() {
        for (message, says) in [
            (
                "unknown field `lisen`, expected one of `listen`, `tls`",
                "unknown key `lisen`: did you mean `listen`?",
            ),
            ("unknown field `zzz`, expected `a` or `b`", "unknown key `zzz`: known here: a, b"),
            (
                "unknown field `zzz`, there are no fields",
                "unknown key `zzz`: nothing is known here, remove it",
            ),
            (
                "unknown variant `publik`, expected `public` or `deny`",
                "unknown word `publik`: did you mean `public`?",
            ),
            ("missing field `policy`", "`policy` is missing: add it"),
            ("invalid type: string \"ten\", expected u32", "expected a whole number, found \"ten\""),
            ("invalid type: integer `5`, expected a string", "expected a text, found `5`"),
            ("invalid type: null, expected struct Settings", "expected a map of keys, found nothing"),
            ("invalid type: sequence, expected a map", "expected a map of keys, found a list"),
            ("invalid socket address syntax", "invalid socket address syntax"),
        ] {
            assert_eq!(Complaint::of(message).says(), says);
        }
    }
}
