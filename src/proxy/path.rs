//! The fail-closed path check: whatever two HTTP stacks could read differently is refused, never rewritten. The bytes
//! the policy saw are the bytes forwarded. RFC 3986 §2.2, §2.3, §3.3; RFC 3629 §3 (overlong forms).

/// A path that passed, with what it still needs a route's leave for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Checked {
    /// Holds `%2F`.
    pub encoded_slash: bool,
    /// Holds `;`, plain or encoded.
    pub semicolon: bool,
    /// Holds something that a lax upstream might fold: an escape or a capital letter.
    pub foldable: bool,
}

/// Checks the raw path (without query). The error says what is wrong, in words for the client.
pub(super) fn check(path: &[u8]) -> Result<Checked, &'static str> {
    let [b'/', rest @ ..] = path else { return Err("The request target must be a path") };
    let mut checked = Checked::default();
    let mut decoded = Vec::new();
    for segment in rest.split(|byte| *byte == b'/') {
        decoded.clear();
        decode(segment, &mut decoded, &mut checked)?;
        dots(&decoded)?;
        // Overlong forms and stray surrogates are not UTF-8.
        if std::str::from_utf8(&decoded).is_err() {
            return Err("The path holds escapes that are not UTF-8");
        }
    }
    // An empty segment is fine only as the last one: `/a/`.
    let inner = rest.strip_suffix(b"/").unwrap_or(rest);
    if path == b"//" || (!inner.is_empty() && inner.split(|byte| *byte == b'/').any(<[u8]>::is_empty)) {
        return Err("The path holds an empty segment");
    }
    Ok(checked)
}

/// One segment, decoded once.
fn decode(segment: &[u8], decoded: &mut Vec<u8>, checked: &mut Checked) -> Result<(), &'static str> {
    let mut bytes = segment.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0..=0x20 | 0x7f => return Err("The path holds a control character or a space"),
            b'\\' | b'#' => return Err("The path holds a backslash or a fragment"),
            0x80.. => return Err("The path holds bytes that are not ASCII"),
            b'%' => {
                let escaped = nibble(bytes.next()).zip(nibble(bytes.next()));
                let (high, low) = escaped.ok_or("The path holds a broken percent escape")?;
                let byte = high << 4 | low;
                match byte {
                    0..=0x1f | 0x7f => return Err("The path holds an escaped control character"),
                    b'\\' => return Err("The path holds an escaped backslash"),
                    // RFC 3986 §2.3: the same as unescaped, but not to a comparison of bytes. A dot among them.
                    b'-' | b'.' | b'_' | b'~' => return Err("The path escapes what needs no escape"),
                    byte if byte.is_ascii_alphanumeric() => {
                        return Err("The path escapes what needs no escape");
                    }
                    // Whoever decodes twice would see another path.
                    b'%' => return Err("The path holds an escaped percent sign"),
                    b'/' => checked.encoded_slash = true,
                    b';' => checked.semicolon = true,
                    _ => {}
                }
                checked.foldable = true;
                decoded.push(byte);
            }
            _ => {
                checked.semicolon |= byte == b';';
                checked.foldable |= byte == b';' || byte.is_ascii_uppercase();
                decoded.push(byte);
            }
        }
    }
    Ok(())
}

fn nibble(byte: Option<u8>) -> Option<u8> {
    match byte? {
        byte @ b'0'..=b'9' => Some(byte - b'0'),
        byte @ b'a'..=b'f' => Some(byte - b'a' + 10),
        byte @ b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// No `.` or `..`, also between escaped slashes and in front of parameters (`..;x` is `..` to some).
fn dots(segment: &[u8]) -> Result<(), &'static str> {
    let mut inner = segment.split(|byte| *byte == b'/').map(|part| {
        let name = part.split(|byte| *byte == b';').next();
        (name.unwrap_or_default(), part)
    });
    if inner.clone().any(|(name, _)| name == b"." || name == b"..") {
        return Err("The path holds a dot segment");
    }
    if inner.any(|(name, part)| name.is_empty() && !part.is_empty()) {
        return Err("The path holds an empty segment");
    }
    if segment.contains(&b'/') && segment.split(|byte| *byte == b'/').any(<[u8]>::is_empty) {
        return Err("The path holds an empty segment");
    }
    Ok(())
}

/// The path as the laxest upstream might read it: decoded, without parameters, and in lower case if `case`.
pub(super) fn fold(path: &str, case: bool) -> String {
    let mut folded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    let mut parameter = false;
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => match nibble(bytes.next()).zip(nibble(bytes.next())) {
                Some((high, low)) => high << 4 | low,
                None => b'%',
            },
            byte => byte,
        };
        match byte {
            // Whoever decodes before taking the query off reads a path that ends here.
            b'?' | b'#' => break,
            b';' => parameter = true,
            b'/' => parameter = false,
            _ => {}
        }
        if !parameter {
            folded.push(if case { byte.to_ascii_lowercase() } else { byte });
        }
    }
    String::from_utf8_lossy(&folded).into_owned()
}

/// `/api` matches `/api` and `/api/…`, never `/apix`. A prefix has no slash at its end; the empty one matches all.
pub(super) fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
