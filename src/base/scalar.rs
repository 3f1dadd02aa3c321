//! Scalars an operator writes: durations (`30s`, `10m`, `8h`, `14d`) and sizes (`64KiB`, `1MiB`).
//! Each has a `Visitor` of its own, so that a fault points at the exact scalar.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A duration as written: a whole number and one of `ms`, `s`, `m`, `h`, `d`; a bare `0` is allowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span(pub Duration);

impl Span {
    pub const fn secs(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }
    pub const fn millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    fn parse(text: &str) -> Option<Span> {
        if text == "0" {
            return Some(Span(Duration::ZERO));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        // A hundred thousand days: beyond any lifetime, and far from overflowing a sum of two.
        let total = number.checked_mul(millis).filter(|ms| *ms <= 8_640_000_000_000)?;
        Some(Span(Duration::from_millis(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis >= size && millis.is_multiple_of(size) {
                return write!(f, "{}{unit}", millis / size);
            }
        }
        if millis == 0 { f.write_str("0") } else { write!(f, "{millis}ms") }
    }
}

/// A number of bytes as written: a whole number, or one with `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Size(pub u64);

impl Size {
    pub const fn kib(kib: u64) -> Size {
        Size(kib << 10)
    }
    pub const fn mib(mib: u64) -> Size {
        Size(mib << 20)
    }

    /// For APIs that count in `usize`; saturating.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Size> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let factor: u64 = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(factor).map(Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

macro_rules! written_scalar {
    ($type:ident, $what:literal, $name:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;
                impl Visitor<'_> for Written {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Written)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "integer"], "pattern": $pattern, "description": $what })
            }
        }
    };
}

written_scalar!(
    Span,
    "a duration such as 500ms, 30s, 10m, 8h or 14d",
    "Duration",
    "^([0-9]+(ms|s|m|h|d)|0)$"
);
written_scalar!(Size, "a size such as 4096, 64KiB or 10MiB", "Size", "^[0-9]+( ?(B|KiB|MiB|GiB))?$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_scalar_reads_as_it_was_shown() {
        for text in ["0", "500ms", "30s", "10m", "8h", "14d"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        for text in ["4096", "64KiB", "10MiB", "1GiB"] {
            let size = Size::parse(text).unwrap();
            assert_eq!(Size::parse(&size.to_string()), Some(size));
        }
        for bad in ["", "s", "30", "-1s", "1.5s", "30 s", "30S", "99999999999999999999s", "1e9d"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
        for bad in ["", "KiB", "64KB", "64kib", "-1", "99999999999999999GiB"] {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
    }
}
