//! Tokens under a shared secret (RFC 7515 with RFC 7518 §3.2). A type of its own from parsing to verifying: a MAC never
//! meets a public key, and a signature never a secret.

use super::Fault;
use super::alg::MacAlgorithm;
use super::jws::{Parts, Rules, parameter};
use crate::base::encode::{base64url, base64url_onto, from_base64url};
use ring::hmac;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// A shared secret. Never printed; cleared from memory when dropped.
#[derive(Clone)]
pub struct MacKey(Zeroizing<Vec<u8>>);

/// A token with a MAC taken apart: its form is right, nothing about it is proved yet.
#[derive(Clone, Debug)]
pub struct MacJws<'a> {
    alg: MacAlgorithm,
    typ: Option<String>,
    claims: Map<String, Value>,
    signed: &'a str,
    mac: &'a str,
}

impl MacKey {
    /// OIDC Core §10.1: the octets of the client secret's UTF-8 form.
    pub fn new(secret: &[u8]) -> MacKey {
        MacKey(Zeroizing::new(secret.to_vec()))
    }

    /// Whether the secret is long enough for `alg`.
    pub fn is_for(&self, alg: MacAlgorithm) -> bool {
        self.0.len() >= alg.least_secret()
    }

    /// The compact JWS over `claims` (JSON text): header `alg`, `typ`.
    ///
    /// # Errors
    /// The secret is too short for `alg`.
    pub fn sign(&self, alg: MacAlgorithm, typ: &str, claims: &[u8]) -> Result<String, Fault> {
        let key = self.key(alg)?;
        let mut token = base64url(json!({ "alg": alg.name(), "typ": typ }).to_string().as_bytes());
        token.push('.');
        base64url_onto(&mut token, claims);
        let mac = hmac::sign(&key, token.as_bytes());
        token.push('.');
        base64url_onto(&mut token, mac.as_ref());
        Ok(token)
    }

    fn key(&self, alg: MacAlgorithm) -> Result<hmac::Key, Fault> {
        if !self.is_for(alg) {
            return Err(Fault::Key("the secret is shorter than the hash"));
        }
        let algorithm = match alg {
            MacAlgorithm::HS256 => hmac::HMAC_SHA256,
            MacAlgorithm::HS384 => hmac::HMAC_SHA384,
            MacAlgorithm::HS512 => hmac::HMAC_SHA512,
        };
        Ok(hmac::Key::new(algorithm, &self.0))
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
    }
}

impl<'a> MacJws<'a> {
    /// [`Fault::Algorithm`]: it is signed by other means, or not at all.
    pub fn parse(token: &'a str) -> Result<MacJws<'a>, Fault> {
        let Parts { header, claims, signed, signature } = Parts::of(token)?;
        let alg = parameter(&header, "alg")?.ok_or(Fault::Malformed("alg is missing"))?;
        parameter(&header, "kid")?;
        Ok(MacJws {
            alg: MacAlgorithm::parse(&alg).ok_or(Fault::Algorithm)?,
            typ: parameter(&header, "typ")?,
            claims,
            signed,
            mac: signature,
        })
    }

    pub fn alg(&self) -> MacAlgorithm {
        self.alg
    }

    /// As written.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// What the token claims, unproved: good for finding out whose secret to ask, for nothing else.
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The claims, checked against `rules`, whose `algorithms` are not looked at: `allowed` are those agreed on.
    pub fn verify(
        self,
        key: &MacKey,
        allowed: &[MacAlgorithm],
        rules: &Rules<'_>,
    ) -> Result<Map<String, Value>, Fault> {
        if !allowed.contains(&self.alg) {
            return Err(Fault::Algorithm);
        }
        if !rules.typ.accepts(self.typ.as_deref()) {
            return Err(Fault::Typ);
        }
        let key = key.key(self.alg)?;
        let mac = from_base64url(self.mac).ok_or(Fault::Signature)?;
        // In constant time, and the whole of it.
        hmac::verify(&key, self.signed.as_bytes(), &mac).map_err(|_| Fault::Signature)?;
        rules.check(&self.claims)?;
        Ok(self.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::jose::{Algorithm, Expiry, Jws, SigningKey, Typ};
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const CLAIMS: &str = r#"{"iss":"https://op","aud":"rp","sub":"s","exp":1800000060}"#;

    fn rules<'a>() -> Rules<'a> {
        Rules { issuer: Some("https://op"), ..Rules::new(&[], NOW) }
    }

    fn judge(token: &str, key: &MacKey, allowed: &[MacAlgorithm]) -> Result<Map<String, Value>, Fault> {
        MacJws::parse(token)?.verify(key, allowed, &rules())
    }

    /// RFC 7515 §A.1.
    #[test]
    fn the_example_of_rfc_7515_verifies() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = MacKey::new(&from_base64url(key).unwrap());
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let rules = Rules { issuer: Some("joe"), ..Rules::new(&[], Timestamp(1_300_819_379)) };
        let claims = MacJws::parse(token).unwrap().verify(&key, &MacAlgorithm::ALL, &rules).unwrap();
        assert_eq!(claims["http://example.com/is_root"], true);
    }

    /// RFC 7520 §4.4; its payload is no claims, so only the MAC is compared.
    #[test]
    fn the_example_of_rfc_7520_has_the_same_mac() {
        let key = from_base64url("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg").unwrap();
        let head = r#"{"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"}"#;
        let text = "It\u{2019}s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your feet, there\u{2019}s no knowing where you might be swept off to.";
        let signed = format!("{}.{}", base64url(head.as_bytes()), base64url(text.as_bytes()));
        let mac = hmac::sign(&MacKey::new(&key).key(MacAlgorithm::HS256).unwrap(), signed.as_bytes());
        assert_eq!(base64url(mac.as_ref()), "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0");
    }

    #[test]
    fn every_algorithm_verifies_what_it_signed_and_nothing_bent() {
        let (key, other) = (MacKey::new(&[7; 64]), MacKey::new(&[8; 64]));
        for alg in MacAlgorithm::ALL {
            let token = key.sign(alg, "JWT", CLAIMS.as_bytes()).unwrap();
            assert_eq!(judge(&token, &key, &[alg]).unwrap()["sub"], "s");
            assert_eq!(judge(&token, &other, &[alg]), Err(Fault::Signature));
            let others: Vec<_> = MacAlgorithm::ALL.into_iter().filter(|other| *other != alg).collect();
            assert_eq!(judge(&token, &key, &others), Err(Fault::Algorithm));
            for at in 0..token.len() {
                let mut bent = token.clone().into_bytes();
                bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
                assert!(judge(&String::from_utf8(bent).unwrap(), &key, &[alg]).is_err(), "{alg}: {at}");
            }
            let (signed, mac) = token.rsplit_once('.').unwrap();
            assert_eq!(judge(&format!("{signed}."), &key, &[alg]), Err(Fault::Signature));
            let shorter = base64url(&from_base64url(mac).unwrap()[..16]);
            assert_eq!(judge(&format!("{signed}.{shorter}"), &key, &[alg]), Err(Fault::Signature));
        }
    }

    #[test]
    fn a_secret_shorter_than_the_hash_neither_signs_nor_verifies() {
        for (alg, least) in MacAlgorithm::ALL.into_iter().zip([32, 48, 64]) {
            let token = MacKey::new(&vec![7; least]).sign(alg, "JWT", CLAIMS.as_bytes()).unwrap();
            let short = MacKey::new(&vec![7; least - 1]);
            assert!(matches!(short.sign(alg, "JWT", CLAIMS.as_bytes()), Err(Fault::Key(_))), "{alg}");
            assert!(matches!(judge(&token, &short, &[alg]), Err(Fault::Key(_))), "{alg}");
        }
    }

    #[test]
    fn signatures_are_no_macs_and_macs_are_no_signatures() {
        let signed = SigningKey::generate(Algorithm::ES256).unwrap().sign("JWT", CLAIMS.as_bytes()).unwrap();
        assert_eq!(MacJws::parse(&signed).err(), Some(Fault::Algorithm));
        let token = MacKey::new(&[7; 64]).sign(MacAlgorithm::HS256, "JWT", CLAIMS.as_bytes()).unwrap();
        assert_eq!(Jws::parse(&token).err(), Some(Fault::Algorithm));
        let unsigned = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(CLAIMS.as_bytes()));
        assert_eq!(MacJws::parse(&unsigned).err(), Some(Fault::Algorithm));
    }

    #[test]
    fn the_rules_are_those_of_signed_tokens() {
        let key = MacKey::new(&[7; 64]);
        let with = |claims: Value, rules: Rules<'_>| {
            let token = key.sign(MacAlgorithm::HS256, "JWT", claims.to_string().as_bytes()).unwrap();
            MacJws::parse(&token).and_then(|jws| jws.verify(&key, &MacAlgorithm::ALL, &rules)).err()
        };
        assert!(with(json!({ "exp": 1_800_000_060 }), rules()).is_some(), "no iss");
        assert_eq!(with(json!({ "iss": "https://op", "exp": 1 }), rules()), Some(Fault::Expired));
        assert!(with(json!({ "iss": "https://op", "exp": "1" }), rules()).is_some());
        let typed = Rules { typ: Typ::Required(&["at+jwt"]), expiry: Expiry::Ignored, ..rules() };
        assert_eq!(with(json!({ "iss": "https://op" }), typed), Some(Fault::Typ));
    }
}
