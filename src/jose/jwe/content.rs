//! Content encryption (RFC 7518 §5): AES-CBC with HMAC, AES-GCM. A MAC is checked before anything is decrypted.

use super::alg::JweEnc;
use crate::base::secret::equal;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;

/// AES works on blocks of 16 bytes.
const BLOCK: usize = 16;

/// What stands in the last three parts of a token, apart or still to be encoded.
pub(super) struct Sealed {
    pub iv: Vec<u8>,
    pub text: Vec<u8>,
    pub tag: Vec<u8>,
}

impl JweEnc {
    /// Of the initialisation vector, in bytes.
    pub(super) const fn iv_size(self) -> usize {
        if self.is_gcm() { 12 } else { BLOCK }
    }

    const fn tag_size(self) -> usize {
        if matches!(self, JweEnc::A256CbcHs512) { 32 } else { 16 }
    }

    const fn is_gcm(self) -> bool {
        matches!(self, JweEnc::A128Gcm | JweEnc::A256Gcm)
    }
}

/// `None`: the library refused.
pub(super) fn seal(enc: JweEnc, key: &[u8], iv: Vec<u8>, aad: &[u8], plain: &[u8]) -> Option<Sealed> {
    let mut text = plain.to_vec();
    if enc.is_gcm() {
        let nonce = Nonce::try_assume_unique_for_key(&iv).ok()?;
        let tag = gcm(enc, key)?.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut text).ok()?;
        let tag = tag.as_ref().to_vec();
        return Some(Sealed { iv, text, tag });
    }
    let (mac_key, cipher_key) = key.split_at_checked(key.len() / 2)?;
    let vector: [u8; BLOCK] = iv.as_slice().try_into().ok()?;
    PaddedBlockEncryptingKey::cbc_pkcs7(cbc(enc, cipher_key)?)
        .and_then(|cipher| cipher.less_safe_encrypt(&mut text, EncryptionContext::Iv128(vector.into())))
        .ok()?;
    let tag = authenticate(enc, mac_key, aad, &iv, &text)?;
    Some(Sealed { iv, text, tag })
}

/// `None`: anything at all is wrong.
pub(super) fn open(enc: JweEnc, key: &[u8], aad: &[u8], sealed: Sealed) -> Option<Vec<u8>> {
    let Sealed { iv, mut text, tag } = sealed;
    // RFC 7518 §5.2.2.2, §5.3: of exactly these sizes; a shortened tag would be easier to guess.
    if key.len() != enc.key_size() || iv.len() != enc.iv_size() || tag.len() != enc.tag_size() {
        return None;
    }
    if enc.is_gcm() {
        let nonce = Nonce::try_assume_unique_for_key(&iv).ok()?;
        text.extend_from_slice(&tag);
        let length = gcm(enc, key)?.open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
        text.truncate(length);
        return Some(text);
    }
    let (mac_key, cipher_key) = key.split_at_checked(key.len() / 2)?;
    if !equal(&authenticate(enc, mac_key, aad, &iv, &text)?, &tag) {
        return None;
    }
    if text.is_empty() || text.len() % BLOCK != 0 {
        return None;
    }
    let vector: [u8; BLOCK] = iv.as_slice().try_into().ok()?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cbc(enc, cipher_key)?).ok()?;
    let length = cipher.decrypt(&mut text, DecryptionContext::Iv128(vector.into())).ok()?.len();
    text.truncate(length);
    Some(text)
}

fn gcm(enc: JweEnc, key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = if enc == JweEnc::A128Gcm { &AES_128_GCM } else { &AES_256_GCM };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

fn cbc(enc: JweEnc, key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = if enc == JweEnc::A128CbcHs256 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, key).ok()
}

/// RFC 7518 §5.2.2.1: over the header, the vector, the ciphertext and the header's length in bits; its left half.
fn authenticate(enc: JweEnc, key: &[u8], aad: &[u8], iv: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let algorithm = if enc == JweEnc::A128CbcHs256 { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA512 };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    context.update(aad);
    context.update(iv);
    context.update(text);
    context.update(&u64::try_from(aad.len()).ok()?.checked_mul(8)?.to_be_bytes());
    context.sign().as_ref().get(..enc.tag_size()).map(<[u8]>::to_vec)
}
