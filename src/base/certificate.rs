//! The certificate of a client (RFC 5280): what it says of its holder, and whether an authority vouches for it. That the
//! holder has the key is proved in the TLS handshake, not here. Revocation lists are not looked at.

mod name;

pub use name::DistinguishedName;

use super::clock::Timestamp;
use super::encode::base64url;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// A certificate in DER, in bytes. Larger ones are not looked at.
pub const MAX_CERTIFICATE: usize = 16 << 10;

/// A file of authorities larger than this is a mistake.
const LARGEST_FILE: u64 = 4 << 20;

/// What a certificate says of its holder.
pub struct Holder {
    pub subject: DistinguishedName,
    /// The names of its subjectAltName (RFC 5280 §4.2.1.6), as written.
    pub dns: Vec<String>,
    pub uris: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub emails: Vec<String>,
    /// Its public key as the members of a JWK (RFC 7517); `None`: of a kind that is not known here.
    pub key: Option<Map<String, Value>>,
}

/// Reads a certificate. `None`: it is none.
pub fn holder(der: &[u8]) -> Option<Holder> {
    let certificate = parse(der)?;
    let names = certificate.subject_alternative_name().ok()?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut holder = Holder {
        subject: DistinguishedName::of(certificate.subject()),
        dns: Vec::new(),
        uris: Vec::new(),
        addresses: Vec::new(),
        emails: Vec::new(),
        key: key(&certificate),
    };
    for name in names {
        match name {
            GeneralName::DNSName(name) => holder.dns.push((*name).to_owned()),
            GeneralName::URI(uri) => holder.uris.push((*uri).to_owned()),
            GeneralName::RFC822Name(email) => holder.emails.push((*email).to_owned()),
            GeneralName::IPAddress(bytes) => holder.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Some(holder)
}

/// Whether it has the form of a certificate.
pub fn is_well_formed(der: &[u8]) -> bool {
    parse(der).is_some()
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > MAX_CERTIFICATE {
        return None;
    }
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

/// RFC 5280 §4.2.1.6: four bytes or sixteen.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

fn key(certificate: &X509Certificate<'_>) -> Option<Map<String, Value>> {
    let info = certificate.public_key();
    let members = match info.parsed().ok()? {
        PublicKey::RSA(key) => {
            let number = |bytes: &[u8]| {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                base64url(bytes.get(zeros..).unwrap_or_default())
            };
            json!({ "kty": "RSA", "n": number(key.modulus), "e": number(key.exponent) })
        }
        PublicKey::EC(point) => {
            // SEC 1 §2.3.3: uncompressed.
            let coordinates = point.data().strip_prefix(&[4])?;
            let crv = match coordinates.len() {
                64 => "P-256",
                96 => "P-384",
                _ => return None,
            };
            let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
            json!({ "kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y) })
        }
        // RFC 8410 §3.
        PublicKey::Unknown(x) if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(x) })
        }
        _ => return None,
    };
    match members {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Those who vouch for clients.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<dyn ClientCertVerifier>);

impl Authorities {
    /// From a PEM file of their certificates.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(file: &Path) -> Result<Authorities, String> {
        let size = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?.len();
        if size > LARGEST_FILE {
            return Err("is larger than 4 MiB".into());
        }
        let pem = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
        Authorities::parse(&pem)
    }

    fn parse(pem: &[u8]) -> Result<Authorities, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("is no PEM file: {error}"))?;
            roots.add(certificate).map_err(|error| format!("holds what is no authority: {error}"))?;
        }
        if roots.is_empty() {
            return Err("holds no certificate".into());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        verifier.map(Authorities).map_err(|error| format!("cannot be used: {error}"))
    }

    /// RFC 5280 §6: whether a chain leads from `certificate` to one of them, all of it valid now, for TLS clients.
    /// `between`: what the client sent besides.
    pub fn vouch_for<B: AsRef<[u8]>>(&self, certificate: &[u8], between: &[B], now: Timestamp) -> bool {
        let between: Vec<_> = between.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.0));
        self.0.verify_client_cert(&CertificateDer::from(certificate), &between, now).is_ok()
    }
}

#[cfg(test)]
mod tests;
