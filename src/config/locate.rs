//! Path → line and column in the text it was read from.
//!
//! The YAML reader tells positions only in errors: so the document is read once more by a seed that follows the path
//! and raises an error at its end. It runs once a fault, and faults are few.

use super::path::{Path, Step};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Where something stands; both count from one. Columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What of a path's end is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// The value if it is a scalar; the key or list item that introduces it if it is a map or a list.
    Value,
    /// The key itself.
    Key,
    /// The key where it stands for the second time.
    SecondKey,
}

/// Where `path` is in `text`, or how far it leads. The beginning of the document if it leads nowhere.
pub fn place(text: &str, path: &Path, aim: Aim) -> Place {
    let mut path = path.clone();
    let mut aim = aim;
    loop {
        if let Some(place) = exact(text, &path.0, aim) {
            return place;
        }
        aim = Aim::Value;
        if path.0.pop().is_none() {
            return Place { line: 1, column: 1 };
        }
    }
}

fn exact(text: &str, steps: &[Step], aim: Aim) -> Option<Place> {
    let outcome = Cell::new(Outcome::Lost);
    let follow = Follow { steps, aim, outcome: &outcome };
    let error = follow.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    match outcome.get() {
        Outcome::Lost => None,
        Outcome::Collection if aim == Aim::Value && matches!(steps.last(), Some(Step::Key(_))) => {
            exact(text, steps, Aim::Key)
        }
        Outcome::Collection | Outcome::Found => {
            error.location().map(|at| Place { line: at.line(), column: at.column() })
        }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Lost,
    /// The error stands where the path ends.
    Found,
    /// The same, and what stands there is a map, a list or nothing.
    Collection,
}

struct Follow<'a> {
    steps: &'a [Step],
    aim: Aim,
    outcome: &'a Cell<Outcome>,
}

impl Follow<'_> {
    fn scalar<E: de::Error>(self) -> Result<(), E> {
        if self.steps.is_empty() {
            self.outcome.set(Outcome::Found);
        }
        Err(E::custom("here"))
    }

    fn collection<E: de::Error>(&self) -> Result<(), E> {
        if self.steps.is_empty() {
            self.outcome.set(Outcome::Collection);
            return Err(E::custom("here"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Follow<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Follow<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path to follow")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.collection()?;
        self.scalar()
    }
    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.collection()?;
        let Some((Step::Index(wanted), rest)) = self.steps.split_first() else { return self.scalar() };
        for _ in 0..*wanted {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return self.scalar();
            }
        }
        items.next_element_seed(Follow { steps: rest, ..self })?;
        Err(de::Error::custom("no such item"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.collection()?;
        let Some((Step::Key(wanted), rest)) = self.steps.split_first() else { return self.scalar() };
        let last = rest.is_empty();
        let mut to_skip = usize::from(last && self.aim == Aim::SecondKey);
        loop {
            let raise = last && self.aim != Aim::Value && to_skip == 0;
            let key = KeySeed { wanted, raise, outcome: self.outcome };
            match entries.next_key_seed(key)? {
                None => return self.scalar(),
                Some(true) if to_skip == 0 => {
                    entries.next_value_seed(Follow { steps: rest, ..self })?;
                    return self.scalar();
                }
                Some(matched) => {
                    to_skip -= usize::from(matched);
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
    }
}

/// Says whether a key is the wanted one; raises an error at it if told to.
struct KeySeed<'a> {
    wanted: &'a str,
    raise: bool,
    outcome: &'a Cell<Outcome>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        let matches = key == self.wanted;
        if matches && self.raise {
            self.outcome.set(Outcome::Found);
            return Err(E::custom("here"));
        }
        Ok(matches)
    }
    fn visit_u64<E: de::Error>(self, key: u64) -> Result<bool, E> {
        self.visit_str(&key.to_string())
    }
    fn visit_i64<E: de::Error>(self, key: i64) -> Result<bool, E> {
        self.visit_str(&key.to_string())
    }
    fn visit_bool<E: de::Error>(self, key: bool) -> Result<bool, E> {
        self.visit_str(&key.to_string())
    }
    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        self.visit_str("null")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
op:
  issuer: https://a.example   # a comment
  paths: {introspection: [/a, \"/b\"]}
routes:
  - path: /api/
    policy:
      bearer:
        scopes:
          - api
          - 'wri te'
  -   path: ä
      policy: public
twice: 1
twice: 2
empty:
base: &base
  ttl: 30s
copy: *base
";

    #[test]
    fn a_path_leads_to_its_scalar_or_to_what_introduces_it() {
        let at = |path: &str| {
            let place = place(TEXT, &Path::parse(path, &serde_json::Value::Null), Aim::Value);
            (place.line, place.column)
        };
        for (path, place) in [
            ("op", (1, 1)),
            ("op.issuer", (2, 11)),
            ("op.paths", (3, 3)),
            ("op.paths.introspection", (3, 11)),
            ("op.paths.introspection[0]", (3, 27)),
            ("op.paths.introspection[1]", (3, 31)),
            ("routes", (4, 1)),
            ("routes[0]", (5, 5)),
            ("routes[0].path", (5, 11)),
            ("routes[0].policy.bearer", (7, 7)),
            ("routes[0].policy.bearer.scopes", (8, 9)),
            ("routes[0].policy.bearer.scopes[1]", (10, 13)),
            ("routes[1]", (11, 7)),
            ("routes[1].path", (11, 13)),
            ("routes[1].policy", (12, 15)),
            ("twice", (13, 8)),
            ("empty", (15, 1)),
            ("copy.ttl", (17, 8)),
            ("", (1, 1)),
        ] {
            assert_eq!(at(path), place, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_ends_where_it_still_led() {
        for (path, line, column) in [
            ("routes[0].policy.bearer.nothing", 7, 7),
            ("routes[7].policy", 4, 1),
            ("op.issuer.deeper", 2, 11),
            ("nothing.at.all", 1, 1),
        ] {
            let place = place(TEXT, &Path::parse(path, &serde_json::Value::Null), Aim::Value);
            assert_eq!(place, Place { line, column }, "{path}");
        }
    }

    #[test]
    fn keys_are_found_themselves_and_a_second_time() {
        let at = |path: &str, aim| {
            let place = place(TEXT, &Path::parse(path, &serde_json::Value::Null), aim);
            (place.line, place.column)
        };
        assert_eq!(at("op.issuer", Aim::Key), (2, 3));
        assert_eq!(at("twice", Aim::SecondKey), (14, 1));
        assert_eq!(at("op.issuer", Aim::SecondKey), (1, 1));
    }

    #[test]
    fn a_broken_document_has_only_a_beginning() {
        let path = Path::parse("routes[1].policy", &serde_json::Value::Null);
        assert_eq!(place("routes: [", &path, Aim::Value), Place { line: 1, column: 1 });
        assert_eq!(place("", &path, Aim::Value), Place { line: 1, column: 1 });
    }
}
