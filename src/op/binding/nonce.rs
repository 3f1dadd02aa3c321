//! The provider's nonces for proofs (RFC 9449 §8, §9): nothing of them is kept. One says when it was made and by which
//! process, under a MAC; all that are made within half a minute are the same.

use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::random::{NoRandomness, Random};
use crate::base::secret::{AtRestKey, equal, hmac_sha256};
use std::time::Duration;

/// How often there is another one, in seconds.
const STEP: u64 = 30;

const TIME: usize = 8;
const PROCESS: usize = 4;
const MAC: usize = 16;
const WHOLE: usize = TIME + PROCESS + MAC;

pub(super) struct Nonces {
    key: [u8; 32],
    /// Names this process: what it was shown, another has not seen.
    process: [u8; PROCESS],
}

/// A nonce of ours that has not expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    /// This very process made it.
    pub ours: bool,
    /// It is the one that is given out now.
    pub current: bool,
}

impl Nonces {
    pub fn new(at_rest: &AtRestKey, random: &Random) -> Result<Nonces, NoRandomness> {
        Ok(Nonces { key: at_rest.derive("DPoP nonces"), process: random.bytes()? })
    }

    /// The one to give out.
    pub fn current(&self, now: Timestamp) -> String {
        let step = (now.0 / STEP).to_be_bytes();
        base64url(&[&step[..], &self.process, &self.mac(&step, &self.process)].concat())
    }

    /// `None`: not one of ours, or older than `lifetime`.
    pub fn read(&self, nonce: &str, lifetime: Duration, now: Timestamp) -> Option<Known> {
        let bytes: [u8; WHOLE] = from_base64url_exact(nonce)?;
        let (time, rest) = bytes.split_first_chunk::<TIME>()?;
        let (process, mac) = rest.split_first_chunk::<PROCESS>()?;
        if !equal(&self.mac(time, process), mac) {
            return None;
        }
        let step = u64::from_be_bytes(*time);
        let made = Timestamp(step.checked_mul(STEP)?);
        // Another node's clock may be a step ahead.
        let fresh = made.0 <= now.0.saturating_add(STEP) && made.plus(lifetime) > now;
        let ours = *process == self.process;
        fresh.then_some(Known { ours, current: ours && step == now.0 / STEP })
    }

    fn mac(&self, time: &[u8; TIME], process: &[u8; PROCESS]) -> [u8; MAC] {
        let mac = hmac_sha256(&self.key, &[time, process]);
        *mac.first_chunk().unwrap_or(&[0; MAC])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(300);
    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn nonces(key: u8, seed: u64) -> Nonces {
        Nonces::new(&AtRestKey::new([key; 32]), &Random::scripted(seed)).unwrap()
    }

    #[test]
    fn a_nonce_lives_for_its_time_and_turns_over() {
        let nonces = nonces(1, 1);
        let nonce = nonces.current(NOW);
        assert_eq!(nonces.read(&nonce, LIFE, NOW), Some(Known { ours: true, current: true }));
        assert_eq!(nonces.current(NOW.plus(Duration::from_secs(29))), nonce);
        let later = NOW.plus(Duration::from_secs(30));
        assert_ne!(nonces.current(later), nonce);
        assert_eq!(nonces.read(&nonce, LIFE, later), Some(Known { ours: true, current: false }));
        assert!(nonces.read(&nonce, LIFE, NOW.plus(Duration::from_secs(299))).is_some());
        assert_eq!(nonces.read(&nonce, LIFE, NOW.plus(LIFE)), None);
        assert_eq!(nonces.read(&nonce, LIFE, NOW.minus(Duration::from_secs(31))), None);
    }

    #[test]
    fn another_process_is_told_apart_and_another_key_is_unknown() {
        let nonce = nonces(1, 1).current(NOW);
        assert_eq!(nonces(1, 2).read(&nonce, LIFE, NOW), Some(Known { ours: false, current: false }));
        assert_eq!(nonces(2, 1).read(&nonce, LIFE, NOW), None);
        for at in 0..nonce.len() {
            let mut bent = nonce.clone().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(nonces(1, 1).read(std::str::from_utf8(&bent).unwrap(), LIFE, NOW), None, "{at}");
        }
        for odd in ["", "x", "eyJ7S_9.eyJ1Z0", &nonce[1..]] {
            assert_eq!(nonces(1, 1).read(odd, LIFE, NOW), None);
        }
    }
}
