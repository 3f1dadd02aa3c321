//! One-time passwords: HOTP (RFC 4226) and TOTP (RFC 6238) over HMAC-SHA-1, which every authenticator app speaks. It
//! remembers nothing: whoever accepts a step keeps it, so that no code counts twice.

use super::clock::Timestamp;
use super::secret::equal;
use ring::hmac;

/// RFC 4226 §4, R6: 160 bits.
pub const SECRET_LEN: usize = 20;
/// RFC 6238 §5.2: the default time step, in seconds.
pub const STEP_SECONDS: u64 = 30;
pub const DIGITS: u32 = 6;

/// RFC 4226 §5.3.
pub fn hotp(secret: &[u8], counter: u64, digits: u32) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let offset = tag.as_ref().last().map_or(0, |last| usize::from(last & 0xf));
    let four = tag.as_ref().iter().skip(offset).take(4);
    let number = four.fold(0_u32, |number, byte| (number << 8) | u32::from(*byte)) & 0x7fff_ffff;
    let number = u64::from(number) % 10_u64.pow(digits);
    format!("{number:0width$}", width = usize::try_from(digits).unwrap_or_default())
}

/// The code an app shows at `now`.
pub fn totp(secret: &[u8], now: Timestamp) -> String {
    hotp(secret, now.0 / STEP_SECONDS, DIGITS)
}

/// The step whose code `presented` is: this one or a neighbour (RFC 6238 §5.2: clocks differ and people are slow), but
/// none up to `last`, which was accepted before.
pub fn accepted(secret: &[u8], presented: &str, now: Timestamp, last: u64) -> Option<u64> {
    let here = now.0 / STEP_SECONDS;
    let steps =
        [here.saturating_sub(1), here, here.saturating_add(1)].into_iter().filter(|step| *step > last);
    // All of them, whichever fits.
    steps.fold(None, |found, step| {
        let right = equal(hotp(secret, step, DIGITS).as_bytes(), presented.as_bytes());
        found.or(right.then_some(step))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_vectors_of_rfc_4226_hold() {
        // RFC 4226 appendix D.
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(hotp(SECRET, counter, 6), code, "{counter}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        // RFC 6238 appendix B, the rows of SHA-1.
        for (time, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(hotp(SECRET, time / STEP_SECONDS, 8), code, "{time}");
            assert_eq!(totp(SECRET, Timestamp(time)), code[2..], "{time}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_never_twice() {
        let at = |step: u64| Timestamp(step * STEP_SECONDS + 7);
        let code = totp(SECRET, at(1_000));
        for (now, last, step) in [
            (999, 0, Some(1_000)),
            (1_000, 0, Some(1_000)),
            (1_001, 999, Some(1_000)),
            (998, 0, None),
            (1_002, 0, None),
            // RFC 6238 §5.2: the second attempt is refused.
            (1_000, 1_000, None),
            (1_000, 1_001, None),
        ] {
            assert_eq!(accepted(SECRET, &code, at(now), last), step, "{now} after {last}");
        }
        for bad in ["", "000000", "7552240", " 755224", "٧٥٥٢٢٤"] {
            assert_eq!(accepted(SECRET, bad, at(1_000), 0), None, "{bad}");
        }
    }
}
