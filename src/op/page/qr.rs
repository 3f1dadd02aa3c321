//! A QR code (ISO/IEC 18004) as the path of an inline picture: no file, no script, nothing fetched.

use qrcode::{Color, QrCode};
use std::fmt::Write as _;

/// The white around it, in modules (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;

/// The width in modules, white border included, and the path of the dark ones. `None`: `text` is too long for one.
pub fn qr(text: &str) -> Option<(usize, String)> {
    let code = QrCode::new(text).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = QUIET;
        // Neighbours in one stroke: a quarter of the text.
        for run in row.chunk_by(|left, right| left == right) {
            let length = run.len();
            if run.first() == Some(&Color::Dark) {
                write!(path, "M{x} {}h{length}v1h-{length}z", y + QUIET).ok()?;
            }
            x += length;
        }
    }
    Some((width + 2 * QUIET, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_of_dark_modules_within_a_white_border() {
        let (width, path) = qr("otpauth://totp/x").unwrap();
        // Version 2 at medium correction: 25 modules, and a finder pattern in its corner.
        assert_eq!(width, 25 + 8);
        assert!(path.starts_with("M4 4h7v1h-7z"));
        assert!(path.chars().all(|c| c.is_ascii_digit() || "Mhvz -".contains(c)));
        assert!(qr(&"x".repeat(5_000)).is_none());
    }
}
