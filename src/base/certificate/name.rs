//! Distinguished names, and their comparison with one that is written as text (RFC 4514).

use x509_parser::x509::X509Name;

/// Attribute types that have a short name: RFC 4514 §3, and what tools write besides.
const SHORT: [(&str, &str); 14] = [
    ("CN", "2.5.4.3"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];

/// The longest text that is read.
const MAX_TEXT: usize = 4_096;

/// A sequence of sets of attributes (RFC 5280 §4.1.2.4), the most significant first. Values are compared character by
/// character: who is meant must be written as the certificate has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DistinguishedName(Vec<Vec<Attribute>>);

/// Dotted type and value. A value that is no text is kept in its encoding.
type Attribute = (String, Content);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Content {
    Text(String),
    /// DER, as hexadecimal in lower case.
    Other(String),
}

impl DistinguishedName {
    pub(super) fn of(name: &X509Name<'_>) -> DistinguishedName {
        let sets = name.iter_rdn().map(|set| {
            let attributes = set.iter().map(|attribute| {
                let content = match attribute.as_str() {
                    Ok(text) => Content::Text(text.to_owned()),
                    Err(_) => Content::Other(super::super::encode::hex(attribute.attr_value().data)),
                };
                (attribute.attr_type().to_id_string(), content)
            });
            sorted(attributes.collect())
        });
        DistinguishedName(sets.collect())
    }

    /// From its text (RFC 4514 §3): the least significant first. `None`: it is none, or names nothing.
    pub fn parse(text: &str) -> Option<DistinguishedName> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut sets = Vec::new();
        for set in split(text, ',')? {
            let attributes: Option<Vec<Attribute>> = split(set, '+')?.into_iter().map(attribute).collect();
            sets.push(sorted(attributes?));
        }
        sets.reverse();
        Some(DistinguishedName(sets))
    }
}

fn sorted(mut set: Vec<Attribute>) -> Vec<Attribute> {
    set.sort();
    set
}

/// At each `separator` that is not escaped. `None`: an escape that is none, or nothing between two of them.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == separator => {
                parts.push(text.get(start..at)?);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!escaped && parts.iter().all(|part| !part.trim().is_empty())).then_some(parts)
}

fn attribute(text: &str) -> Option<Attribute> {
    let (kind, value) = text.split_once('=')?;
    let kind = kind.trim();
    let dotted = kind.starts_with(|c: char| c.is_ascii_digit())
        && kind.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let known = || SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(kind)).map(|(_, oid)| *oid);
    let kind = if dotted { kind } else { known()? };
    let value = value.trim_start_matches(' ');
    let content = match value.strip_prefix('#') {
        // RFC 4514 §2.4: the encoding itself. Compared with what is no text; of that the header is left out here.
        Some(hex) => Content::Other(hex.trim_end().to_ascii_lowercase().get(4..)?.to_owned()),
        None => Content::Text(unescaped(value)?),
    };
    Some((kind.to_owned(), content))
}

/// RFC 4514 §3: `\,` and the like, `\C3\A4` for bytes. Trailing spaces count only if they are escaped.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    // How much of it must stay.
    let mut kept = 0;
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            kept = if byte == b' ' { kept } else { bytes.len() };
            continue;
        }
        let first = rest.next()?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut ahead = rest.clone();
        match digit(first).zip(ahead.next().and_then(digit)) {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            None if b" \"#+,;<=>\\".contains(&first) => bytes.push(first),
            None => return None,
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).ok()
}
