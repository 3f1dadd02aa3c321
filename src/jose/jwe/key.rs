//! Keys for encryption: those of other parties, to encrypt to (RFC 7517, RFC 7518 §6, RFC 8037 §2), and our own, to
//! decrypt with. A type of their own: what encrypts never signs and never verifies.

use super::alg::{JweAlg, KeyKind};
use crate::base::encode::base64url;
use crate::jose::Fault;
use crate::jose::jwk::{self, Material};
use crate::jose::thumbprint;
use aws_lc_rs::agreement::{self, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeySize, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
    PublicKeyComponents,
};
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The numbers of a public key.
pub(super) enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        key: OaepPublicEncryptingKey,
    },
    /// On a curve. `y` is empty for X25519.
    Curve {
        kind: KeyKind,
        x: Vec<u8>,
        y: Vec<u8>,
        key: ParsedPublicKey,
    },
}

/// A public key to encrypt to, that has passed every check: its size, its curve, its use. Cheap to clone.
#[derive(Clone)]
pub struct EncryptionKey(Arc<Outer>);

struct Outer {
    kid: Option<String>,
    alg: Option<JweAlg>,
    /// It says `use: enc`.
    stated: bool,
    thumbprint: String,
    public: Public,
}

impl EncryptionKey {
    /// One key of a set. A fault says why nothing can be encrypted to it.
    pub fn parse(members: &Map<String, Value>) -> Result<EncryptionKey, Fault> {
        let usage = jwk::optional(members, "use")?;
        if usage.is_some_and(|usage| usage != "enc") {
            return Err(Fault::Key("it is not for encryption"));
        }
        let public = Public::parse(members)?;
        if let Some(operations) = members.get("key_ops") {
            let list = operations.as_array().ok_or(Fault::Malformed("key_ops is not a list"))?;
            // The Web Cryptography API gives the public half of a key agreement no operation at all.
            let fits = match public.kind() {
                KeyKind::Rsa => list.iter().any(|operation| operation == "wrapKey" || operation == "encrypt"),
                _ => {
                    list.is_empty()
                        || list.iter().any(|operation| operation == "deriveKey" || operation == "deriveBits")
                }
            };
            if !fits {
                return Err(Fault::Key("it is not for encryption"));
            }
        }
        let alg = match jwk::optional(members, "alg")? {
            None => None,
            Some(name) => Some(JweAlg::parse(name).ok_or(Fault::Algorithm)?),
        };
        if alg.is_some_and(|alg| !public.kind().is_for(alg)) {
            return Err(Fault::Key("its alg needs another kind of key"));
        }
        let kid = jwk::kid(members)?.map(str::to_owned);
        Ok(EncryptionKey::new(kid, alg, usage.is_some(), public))
    }

    fn new(kid: Option<String>, alg: Option<JweAlg>, stated: bool, public: Public) -> EncryptionKey {
        let thumbprint = public.thumbprint();
        EncryptionKey(Arc::new(Outer { kid, alg, stated, thumbprint, public }))
    }

    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    pub fn kind(&self) -> KeyKind {
        self.0.public.kind()
    }

    /// RFC 7638, SHA-256, base64url.
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    pub fn is_for(&self, alg: JweAlg) -> bool {
        self.kind().is_for(alg) && self.0.alg.is_none_or(|own| own == alg)
    }

    /// How plainly it says that it is for `alg`; `None`: it is not. The larger is the better choice.
    pub(in crate::jose) fn fitness(&self, alg: JweAlg) -> Option<(bool, bool)> {
        self.is_for(alg).then_some((self.0.stated, self.0.alg.is_some()))
    }

    /// The public members, ready to publish: `kty`, `use`, `kid` and `alg` if known, and the numbers.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut members = self.0.public.members();
        members.insert("use".to_owned(), json!("enc"));
        if let Some(alg) = self.0.alg {
            members.insert("alg".to_owned(), json!(alg.name()));
        }
        if let Some(kid) = self.kid() {
            members.insert("kid".to_owned(), json!(kid));
        }
        members
    }

    pub(super) fn public(&self) -> &Public {
        &self.0.public
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({}, {})", self.kind().name(), self.thumbprint())
    }
}

impl Public {
    /// The numbers of a public key, or of an `epk`, checked.
    pub(super) fn parse(members: &Map<String, Value>) -> Result<Public, Fault> {
        if jwk::has_private_members(members) {
            return Err(Fault::Key("it has private members"));
        }
        let kty = jwk::optional(members, "kty")?.ok_or(Fault::Key("kty is missing"))?;
        let crv = jwk::optional(members, "crv")?;
        let kind = match (kty, crv) {
            ("RSA", _) => KeyKind::Rsa,
            ("EC", Some("P-256")) => KeyKind::P256,
            ("EC", Some("P-384")) => KeyKind::P384,
            ("EC", Some("P-521")) => KeyKind::P521,
            ("OKP", Some("X25519")) => KeyKind::X25519,
            _ => return Err(Fault::Key("its kind or curve is not supported")),
        };
        match kind {
            KeyKind::Rsa => match jwk::material(members)? {
                Material::Rsa { n, e } => Public::rsa(n, e),
                _ => Err(Fault::Key("its kind or curve is not supported")),
            },
            KeyKind::X25519 => {
                Public::curve(kind, jwk::coordinate(members, "x", kind.coordinate())?, Vec::new())
            }
            _ => {
                let size = kind.coordinate();
                Public::curve(
                    kind,
                    jwk::coordinate(members, "x", size)?,
                    jwk::coordinate(members, "y", size)?,
                )
            }
        }
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Public, Fault> {
        jwk::check_rsa(&n, &e)?;
        let components = PublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
        let key: Result<PublicEncryptingKey, _> = components.try_into();
        let key = key.and_then(OaepPublicEncryptingKey::new);
        Ok(Public::Rsa { n, e, key: key.map_err(|_| Fault::Key("its RSA numbers make no key"))? })
    }

    /// RFC 7518 §6.2.1: the point must lie on its curve, or a party's secret could be drawn out bit by bit.
    fn curve(kind: KeyKind, x: Vec<u8>, y: Vec<u8>) -> Result<Public, Fault> {
        let point = match kind {
            KeyKind::X25519 => x.clone(),
            _ => [&[4], x.as_slice(), y.as_slice()].concat(),
        };
        let key = ParsedPublicKey::try_from(UnparsedPublicKey::new(kind.agreement()?, &point))
            .map_err(|_| Fault::Key("its point is not on the curve"))?;
        Ok(Public::Curve { kind, x, y, key })
    }

    /// The public half of a key for agreement.
    pub(super) fn of(kind: KeyKind, private: &agreement::PrivateKey) -> Result<Public, Fault> {
        let failed = Fault::Key("its public half cannot be read");
        let public = private.compute_public_key().map_err(|_| failed.clone())?;
        if kind == KeyKind::X25519 {
            return Public::curve(kind, public.as_ref().to_vec(), Vec::new());
        }
        let point =
            public.as_ref().strip_prefix(&[4]).and_then(|point| point.split_at_checked(kind.coordinate()));
        let (x, y) = point.ok_or(failed)?;
        Public::curve(kind, x.to_vec(), y.to_vec())
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self {
            Public::Rsa { .. } => KeyKind::Rsa,
            Public::Curve { kind, .. } => *kind,
        }
    }

    pub(super) fn members(&self) -> Map<String, Value> {
        let members = match self {
            Public::Rsa { n, e, .. } => json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) }),
            Public::Curve { kind: KeyKind::X25519, x, .. } => {
                json!({ "kty": "OKP", "crv": "X25519", "x": base64url(x) })
            }
            Public::Curve { kind, x, y, .. } => {
                json!({ "kty": "EC", "crv": kind.name(), "x": base64url(x), "y": base64url(y) })
            }
        };
        match members {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn thumbprint(&self) -> String {
        match self {
            Public::Rsa { n, e, .. } => thumbprint::rsa(n, e),
            Public::Curve { kind: KeyKind::X25519, x, .. } => thumbprint::octets("X25519", x),
            Public::Curve { kind, x, y, .. } => thumbprint::curve(kind.name(), x, y),
        }
    }
}

/// A private key to decrypt with. Cheap to clone; never printed.
#[derive(Clone)]
pub struct DecryptionKey(Arc<Inner>);

struct Inner {
    private: Private,
    public: EncryptionKey,
}

pub(super) enum Private {
    /// Parsed for use, and as it is exported.
    Rsa(OaepPrivateDecryptingKey, PrivateDecryptingKey),
    Curve(agreement::PrivateKey),
}

impl DecryptionKey {
    /// A new key: RSA with 2048 bits (some hundred milliseconds: not on a worker) or on a curve. The randomness is the
    /// cryptographic library's own, from the operating system.
    pub fn generate(kind: KeyKind) -> Result<DecryptionKey, Fault> {
        let failed = |_| Fault::Crypto("a key could not be generated");
        match kind {
            KeyKind::Rsa => {
                DecryptionKey::rsa(PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?)
            }
            _ => {
                let private = agreement::PrivateKey::generate(kind.agreement()?).map_err(failed)?;
                DecryptionKey::curve(kind, private)
            }
        }
    }

    /// From PKCS#8 DER, as [`DecryptionKey::to_pkcs8`] wrote it. Not for X25519.
    pub fn from_pkcs8(kind: KeyKind, der: &[u8]) -> Result<DecryptionKey, Fault> {
        let rejected = |_| Fault::Key("its PKCS#8 form cannot be read as this kind of key");
        match kind {
            KeyKind::Rsa => DecryptionKey::rsa(PrivateDecryptingKey::from_pkcs8(der).map_err(rejected)?),
            _ => {
                let private = agreement::PrivateKey::from_private_key_der(kind.agreement()?, der);
                DecryptionKey::curve(kind, private.map_err(rejected)?)
            }
        }
    }

    /// PKCS#8 DER. Whoever stores it seals it. Not for X25519.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let failed = |_| Fault::Crypto("a key could not be exported");
        let der = match &self.0.private {
            Private::Rsa(_, key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key).map_err(failed)?,
            Private::Curve(key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key).map_err(failed)?,
        };
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The RFC 7638 thumbprint of the public key.
    pub fn kid(&self) -> &str {
        self.0.public.thumbprint()
    }

    pub fn kind(&self) -> KeyKind {
        self.0.public.kind()
    }

    /// The public half, with `kid`. It has no `alg`: an RSA key is for both RSA-OAEPs, one on a curve for every ECDH-ES.
    pub fn public(&self) -> &EncryptionKey {
        &self.0.public
    }

    pub(super) fn private(&self) -> &Private {
        &self.0.private
    }

    fn rsa(key: PrivateDecryptingKey) -> Result<DecryptionKey, Fault> {
        let unreadable = Fault::Key("its public half cannot be read");
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| unreadable.clone())?;
        let pair = RsaKeyPair::from_pkcs8(der.as_ref()).map_err(|_| unreadable.clone())?;
        let public = Public::rsa(
            pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
            pair.public_key().exponent().big_endian_without_leading_zero().to_vec(),
        )?;
        let parsed = OaepPrivateDecryptingKey::new(key.clone()).map_err(|_| unreadable)?;
        Ok(DecryptionKey::new(Private::Rsa(parsed, key), public))
    }

    pub(super) fn curve(kind: KeyKind, private: agreement::PrivateKey) -> Result<DecryptionKey, Fault> {
        let public = Public::of(kind, &private)?;
        Ok(DecryptionKey::new(Private::Curve(private), public))
    }

    fn new(private: Private, public: Public) -> DecryptionKey {
        let kid = public.thumbprint();
        let public = EncryptionKey::new(Some(kid), None, true, public);
        DecryptionKey(Arc::new(Inner { private, public }))
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey({}, {})", self.kind().name(), self.kid())
    }
}
