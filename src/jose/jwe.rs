//! Encrypted tokens (RFC 7516), compact serialisation only. Whatever is wrong with what was encrypted, the answer is
//! the same one: nobody learns from it. Compression, critical extensions and passwords are refused by name.

mod alg;
mod content;
mod key;

pub use alg::{Encryption, JweAlg, JweEnc, KeyKind};
pub use key::{DecryptionKey, EncryptionKey};

use super::jws::MAX_TOKEN;
use super::{Fault, json};
use crate::base::encode::{base64url, base64url_onto, from_base64url};
use crate::base::random::Random;
use aws_lc_rs::agreement::{self, ParsedPublicKey, PrivateKey};
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
use content::Sealed;
use key::{Private, Public};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// Keys that are tried for a token that names none.
const MAX_TRIES: usize = 4;

/// What the header says of itself and of the content. Trustworthy only once the token was decrypted, and then only as
/// far as whoever encrypted it is: anybody can encrypt to a public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub alg: JweAlg,
    pub enc: JweEnc,
    pub kid: Option<String>,
    /// As written.
    pub typ: Option<String>,
    pub cty: Option<String>,
}

/// What a header says of the content.
#[derive(Clone, Copy, Default, Debug)]
pub struct Content<'a> {
    pub typ: Option<&'a str>,
    pub cty: Option<&'a str>,
}

impl Content<'_> {
    /// A signed token within (RFC 7519 §5.2).
    pub const NESTED: Content<'static> = Content { typ: None, cty: Some("JWT") };
}

/// The algorithms that were agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    pub algs: &'a [JweAlg],
    pub encs: &'a [JweEnc],
}

impl Allowed<'_> {
    /// Everything that can be expressed.
    pub const ALL: Allowed<'static> = Allowed { algs: &JweAlg::ALL, encs: &JweEnc::ALL };
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decrypted {
    pub header: Header,
    pub payload: Vec<u8>,
}

/// Whether a token has the five parts of an encrypted one; a signed one has three.
pub fn is_encrypted(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 4
}

/// Encrypts to `to`. RSA costs some ten microseconds, a curve twice that.
///
/// # Errors
/// The key is not for the algorithm, the payload is larger than a token may be, or the cryptographic library failed.
pub fn encrypt(
    payload: &[u8],
    to: &EncryptionKey,
    how: Encryption,
    content: Content<'_>,
    random: &Random,
) -> Result<String, Fault> {
    if payload.len() > MAX_TOKEN {
        return Err(Fault::TooLarge { what: "what is to be encrypted", most: MAX_TOKEN });
    }
    if !to.is_for(how.alg) {
        return Err(Fault::Algorithm);
    }
    let mut header = Map::new();
    header.insert("alg".to_owned(), json!(how.alg.name()));
    header.insert("enc".to_owned(), json!(how.enc.name()));
    for (name, value) in [("kid", to.kid()), ("typ", content.typ), ("cty", content.cty)] {
        if let Some(value) = value {
            header.insert(name.to_owned(), json!(value));
        }
    }
    let failed = Fault::Crypto("a token could not be encrypted");
    let mut key = Zeroizing::new(vec![0; how.enc.key_size()]);
    random.fill(&mut key).map_err(|_| failed.clone())?;
    let encrypted_key = match to.public() {
        Public::Rsa { key: rsa, .. } => {
            let mut out = vec![0; rsa.ciphertext_size()];
            let oaep = how.alg.oaep().ok_or(Fault::Algorithm)?;
            rsa.encrypt(oaep, &key, &mut out, None).map_err(|_| failed.clone())?.to_vec()
        }
        Public::Curve { kind, key: theirs, .. } => {
            let ephemeral = PrivateKey::generate(kind.agreement()?).map_err(|_| failed.clone())?;
            header.insert("epk".to_owned(), Value::Object(Public::of(*kind, &ephemeral)?.members()));
            let agreed = agree(&ephemeral, theirs, how, &[], &[]).ok_or(failed.clone())?;
            match how.alg.wrapping() {
                None => {
                    key = agreed;
                    Vec::new()
                }
                Some(_) => wrap(&agreed, &key).ok_or(failed.clone())?,
            }
        }
    };
    let mut token = base64url(Value::Object(header).to_string().as_bytes());
    let mut iv = vec![0; how.enc.iv_size()];
    random.fill(&mut iv).map_err(|_| failed.clone())?;
    let sealed = content::seal(how.enc, &key, iv, token.as_bytes(), payload).ok_or(failed)?;
    for part in [&encrypted_key, &sealed.iv, &sealed.text, &sealed.tag] {
        token.push('.');
        base64url_onto(&mut token, part);
    }
    Ok(token)
}

/// Decrypts with the one of `keys` that the token names, or those that fit if it names none. An RSA key costs about a
/// millisecond.
///
/// # Errors
/// What is public about a token (its size, its form, its algorithms) has faults of its own; all else is
/// [`Fault::Decryption`].
pub fn decrypt(token: &str, keys: &[DecryptionKey], allowed: Allowed<'_>) -> Result<Decrypted, Fault> {
    let jwe = Jwe::parse(token)?;
    let header = &jwe.header;
    if !allowed.algs.contains(&header.alg) || !allowed.encs.contains(&header.enc) {
        return Err(Fault::Algorithm);
    }
    let fits = |key: &&DecryptionKey| {
        key.kind().is_for(header.alg) && header.kid.as_deref().is_none_or(|kid| kid == key.kid())
    };
    let mut fitting = keys.iter().filter(fits).take(MAX_TRIES);
    let payload = fitting.find_map(|key| jwe.open(key)).ok_or(Fault::Decryption)?;
    Ok(Decrypted { header: jwe.header, payload })
}

/// A token taken apart.
struct Jwe<'a> {
    header: Header,
    /// As it stands in the token: it is authenticated in that form.
    encoded_header: &'a str,
    members: Map<String, Value>,
    encrypted_key: &'a str,
    iv: &'a str,
    text: &'a str,
    tag: &'a str,
}

impl<'a> Jwe<'a> {
    fn parse(token: &'a str) -> Result<Jwe<'a>, Fault> {
        if token.len() > MAX_TOKEN {
            return Err(Fault::TooLarge { what: "a token", most: MAX_TOKEN });
        }
        let mut parts = token.split('.');
        let mut next = || parts.next().ok_or(Fault::Malformed("not five parts"));
        let (encoded_header, encrypted_key, iv, text, tag) = (next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(Fault::Malformed("not five parts"));
        }
        let bytes = from_base64url(encoded_header).ok_or(Fault::Malformed("not base64url"))?;
        let members = json::object(&bytes)?;
        let header = Header::parse(&members)?;
        Ok(Jwe { header, encoded_header, members, encrypted_key, iv, text, tag })
    }

    fn open(&self, key: &DecryptionKey) -> Option<Vec<u8>> {
        let encrypted_key = from_base64url(self.encrypted_key)?;
        let sealed = Sealed {
            iv: from_base64url(self.iv)?,
            text: from_base64url(self.text)?,
            tag: from_base64url(self.tag)?,
        };
        let content_key = match key.private() {
            Private::Rsa(rsa, _) => {
                if encrypted_key.len() != rsa.key_size_bytes() {
                    return None;
                }
                let mut out = Zeroizing::new(vec![0; rsa.min_output_size()]);
                let plain = rsa.decrypt(self.header.alg.oaep()?, &encrypted_key, &mut out, None).ok()?;
                Zeroizing::new(plain.to_vec())
            }
            Private::Curve(private) => self.agreed(key.kind(), private, &encrypted_key)?,
        };
        content::open(self.header.enc, &content_key, self.encoded_header.as_bytes(), sealed)
    }

    fn agreed(&self, kind: KeyKind, ours: &PrivateKey, encrypted_key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Ok(Public::Curve { kind: theirs, key, .. }) =
            Public::parse(self.members.get("epk")?.as_object()?)
        else {
            return None;
        };
        if theirs != kind {
            return None;
        }
        let party = |name| match self.members.get(name) {
            None => Some(Vec::new()),
            Some(value) => from_base64url(value.as_str()?),
        };
        let how = Encryption { alg: self.header.alg, enc: self.header.enc };
        let agreed = agree(ours, &key, how, &party("apu")?, &party("apv")?)?;
        match how.alg.wrapping() {
            // RFC 7516 §5.2, step 10: there is nothing in between.
            None => encrypted_key.is_empty().then_some(agreed),
            Some(_) => unwrap(&agreed, encrypted_key),
        }
    }
}

impl Header {
    fn parse(members: &Map<String, Value>) -> Result<Header, Fault> {
        // RFC 7516 §4.1.13: nothing that must be understood is. A compressed text's size says something of the plain
        // one, and unpacking has no bound (RFC 8725 §3.6). PBES2 lets a stranger choose our work.
        for name in ["crit", "zip", "p2c", "p2s"] {
            if members.contains_key(name) {
                return Err(Fault::Extension(name));
            }
        }
        let text = |name: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Fault::Malformed("a header parameter is not a text")),
        };
        let alg = text("alg")?.ok_or(Fault::Malformed("alg is missing"))?;
        let enc = text("enc")?.ok_or(Fault::Malformed("enc is missing"))?;
        Ok(Header {
            alg: JweAlg::parse(&alg).ok_or(Fault::Algorithm)?,
            enc: JweEnc::parse(&enc).ok_or(Fault::Algorithm)?,
            kid: text("kid")?,
            typ: text("typ")?,
            cty: text("cty")?,
        })
    }
}

/// ECDH-ES and the Concat KDF (RFC 7518 §4.6): the key that wraps, or the content encryption key itself.
fn agree(
    ours: &PrivateKey,
    theirs: &ParsedPublicKey,
    how: Encryption,
    apu: &[u8],
    apv: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (id, size) = match how.alg.wrapping() {
        Some(size) => (how.alg.name(), size),
        None => (how.enc.name(), how.enc.key_size()),
    };
    // RFC 7518 §4.6.2: each preceded by its length, then the size of the key in bits.
    let mut info = Vec::new();
    for part in [id.as_bytes(), apu, apv] {
        info.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
        info.extend_from_slice(part);
    }
    info.extend_from_slice(&u32::try_from(size * 8).ok()?.to_be_bytes());
    let digest = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256)?;
    let mut out = Zeroizing::new(vec![0; size]);
    agreement::agree(ours, theirs.clone(), (), |secret| {
        sskdf_digest(digest, secret, &info, &mut out).map_err(|_| ())
    })
    .ok()?;
    Some(out)
}

/// AES Key Wrap (RFC 3394); its size follows from the wrapping key's.
fn kek(key: &[u8]) -> Option<AesKek> {
    AesKek::new(if key.len() == 16 { &AES_128 } else { &AES_256 }, key).ok()
}

fn wrap(with: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; key.len() + 8];
    Some(kek(with)?.wrap(key, &mut out).ok()?.to_vec())
}

fn unwrap(with: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // The largest content encryption key, and what wrapping adds.
    if wrapped.len() > JweEnc::A256CbcHs512.key_size() + 8 {
        return None;
    }
    let mut out = Zeroizing::new(vec![0; wrapped.len().checked_sub(8)?]);
    kek(with)?.unwrap(wrapped, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests;
