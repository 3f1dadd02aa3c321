//! A development certificate authority and the certificates it signs, so that TLS is real from the first start. Never
//! for a server that strangers use: whoever holds the authority's key can be any host to those who trust it.

use crate::base::clock::Timestamp;
use crate::observe::sink::private_directory;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};
use x509_parser::pem::parse_x509_pem;

/// How long the authority is valid.
const AUTHORITY_DAYS: i64 = 3_650;

/// How long a certificate is: browsers refuse more.
const LEAF_DAYS: i64 = 397;

/// A certificate that ends sooner than this is made anew.
const RENEW_DAYS: i64 = 7;

/// The names the quickstart is reached under.
pub const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("`{0}` is no host name or address")]
    Name(String),
}

/// Where the files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    pub authority: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Whether anything was written now.
    pub fresh: bool,
}

/// Makes what is missing, unreadable or about to expire: `cert` and `key` for `names`, signed by `ca.pem` beside
/// `cert` (made, too, if it is not there).
///
/// # Errors
/// A file cannot be written, or a name is none.
pub fn ensure(cert: &Path, key: &Path, names: &[String], now: Timestamp) -> Result<Made, Fault> {
    let directory =
        cert.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    private_directory(directory).map_err(|error| Fault::File { path: directory.to_owned(), error })?;
    let authority = directory.join("ca.pem");
    let made =
        |fresh| Made { authority: authority.clone(), cert: cert.to_owned(), key: key.to_owned(), fresh };
    let now = moment(now);
    let (issuer, renewed) = authority_at(&authority, &directory.join("ca.key"), now)?;
    if !renewed && key.exists() && serves(cert, &authority, names, now) {
        return Ok(made(false));
    }
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf(names, now)?.signed_by(&leaf_key, &issuer)?;
    write(key, &leaf_key.serialize_pem(), 0o600)?;
    write(cert, &leaf.pem(), 0o644)?;
    Ok(made(true))
}

fn moment(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.0).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The authority that is there, or a new one; and whether it is new.
fn authority_at(
    cert: &Path,
    key: &Path,
    now: OffsetDateTime,
) -> Result<(Issuer<'static, KeyPair>, bool), Fault> {
    let there = std::fs::read_to_string(cert).ok().zip(std::fs::read_to_string(key).ok());
    if let Some((cert_pem, key_pem)) = there
        && ends(cert_pem.as_bytes()).is_some_and(|end| end > now + Duration::days(LEAF_DAYS))
        && let Ok(key_pair) = KeyPair::from_pem(&key_pem)
        && let Ok(issuer) = Issuer::from_ca_cert_pem(&cert_pem, key_pair)
    {
        return Ok((issuer, false));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "oidcop-proxy development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(AUTHORITY_DAYS);
    let key_pair = KeyPair::generate()?;
    let certificate = params.self_signed(&key_pair)?;
    write(key, &key_pair.serialize_pem(), 0o600)?;
    write(cert, &certificate.pem(), 0o644)?;
    Ok((Issuer::new(params, key_pair), true))
}

fn leaf(names: &[String], now: OffsetDateTime) -> Result<CertificateParams, Fault> {
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-*:".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(Fault::Name(name.clone()));
        }
    }
    let mut params = CertificateParams::new(names)?;
    let shown = names.first().map_or("localhost", String::as_str);
    params.distinguished_name.push(DnType::CommonName, shown);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(LEAF_DAYS - 1);
    Ok(params)
}

fn ends(pem: &[u8]) -> Option<OffsetDateTime> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    Some(certificate.validity().not_after.to_datetime())
}

/// Whether the certificate is for all of `names`, signed by the authority that is there, and not about to end.
fn serves(cert: &Path, authority: &Path, names: &[String], now: OffsetDateTime) -> bool {
    let read = |path: &Path| {
        std::fs::read(path).ok().and_then(|bytes| parse_x509_pem(&bytes).ok().map(|(_, pem)| pem))
    };
    let Some((leaf, authority)) = read(cert).zip(read(authority)) else { return false };
    let (Ok(leaf), Ok(authority)) = (leaf.parse_x509(), authority.parse_x509()) else { return false };
    let named: Vec<String> = match leaf.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name_of).collect(),
        _ => Vec::new(),
    };
    leaf.validity().not_after.to_datetime() > now + Duration::days(RENEW_DAYS)
        && leaf.verify_signature(Some(authority.public_key())).is_ok()
        && names.iter().all(|name| named.contains(name))
}

fn name_of(name: &x509_parser::extensions::GeneralName<'_>) -> Option<String> {
    use x509_parser::extensions::GeneralName;
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            v4.or_else(|_| {
                <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string())
            })
            .ok()
        }
        _ => None,
    }
}

/// Replaces the file in one step; its mode is set before anything is in it.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Fault> {
    let fault = |error| Fault::File { path: path.to_owned(), error };
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(fault)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp(1_790_000_000);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_certificate_is_kept_until_it_is_about_to_expire_and_the_authority_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (cert, key) = (directory.path().join("certs/dev.pem"), directory.path().join("certs/dev.key"));
        let ensure_at = |now, hosts: &[&str]| ensure(&cert, &key, &names(hosts), now).unwrap();
        let made = ensure_at(NOW, &NAMES);
        assert!(made.fresh);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (first, authority) = (read(&cert), read(&made.authority));
        for (path, mode) in [(&key, 0o600), (&directory.path().join("certs/ca.key"), 0o600), (&cert, 0o644)] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
        }
        let days = |days: u64| Timestamp(NOW.0 + days * 86_400);
        assert!(!ensure_at(days(300), &NAMES).fresh);
        assert_eq!(read(&cert), first);
        assert!(ensure_at(days(390), &NAMES).fresh);
        assert_ne!(read(&cert), first);
        assert_eq!(read(&made.authority), authority);
        assert!(ensure_at(days(390), &["127.0.0.1", "edge.example"]).fresh, "another name");
        assert!(!ensure_at(days(390), &["edge.example"]).fresh);
        assert!(ensure_at(days(3_600), &["edge.example"]).fresh);
        assert_ne!(read(&made.authority), authority, "an authority that would end before the certificate");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (cert, key) = (directory.path().join("a.pem"), directory.path().join("a.key"));
        for bad in ["", "a b", "a/b", "ä.example"] {
            assert!(matches!(ensure(&cert, &key, &names(&[bad]), NOW), Err(Fault::Name(_))), "{bad}");
        }
        assert!(!cert.exists());
    }
}
