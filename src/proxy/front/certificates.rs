//! The certificates the front door shows: chosen by SNI (RFC 6066 §3), exact before wildcard, a default for the rest.
//!
//! The whole `rustls::ServerConfig` is swapped at a reload, and only if every file is sound. Files are read here and
//! nowhere else; obtaining certificates (ACME) is somebody else's business.

use super::client_certificates::Asking;
use super::settings::{Certificate, Tls, Version};
use crate::base::clock::Timestamp;
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate or key file larger than this is a mistake.
const LARGEST_FILE: u64 = 1 << 20;

/// Why the certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no certificate is configured")]
    None,
    #[error("{}: cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("{}: holds no {what} in PEM form", file.display())]
    Empty { file: PathBuf, what: &'static str },
    #[error("{}: {why}", file.display())]
    Malformed { file: PathBuf, why: String },
    #[error("{}: is not the key of {}", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("{}: expired at {when}", file.display())]
    Expired { file: PathBuf, when: String },
    #[error("{}: is not valid before {when}", file.display())]
    Early { file: PathBuf, when: String },
    #[error("{}: names no host, so it would never be shown", file.display())]
    Nameless { file: PathBuf },
    #[error("{}: is not valid for `{host}`", file.display())]
    OtherHost { file: PathBuf, host: String },
    #[error("`{host}` is no host name")]
    NoHost { host: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The certificates in use.
pub struct Certificates {
    current: ArcSwap<rustls::ServerConfig>,
    /// The same, asking for a certificate of the client's.
    asking: ArcSwap<rustls::ServerConfig>,
    provider: Arc<CryptoProvider>,
    /// Kept across reloads, so that clients resume.
    tickets: Arc<dyn ProducesTickets>,
}

impl Certificates {
    /// Reads the files, or says everything that is wrong with them.
    pub fn load(settings: &Tls, now: Timestamp) -> Result<Certificates, Vec<Fault>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tickets =
            rustls::crypto::ring::Ticketer::new().map_err(|fault| vec![Fault::Tls(fault.to_string())])?;
        let (current, asking) = configs(settings, now, &provider, &tickets)?;
        let (current, asking) = (ArcSwap::from_pointee(current), ArcSwap::from_pointee(asking));
        Ok(Certificates { current, asking, provider, tickets })
    }

    /// Reads the files again. On a fault those in use stay.
    pub fn reload(&self, settings: &Tls, now: Timestamp) -> Result<(), Vec<Fault>> {
        let (current, asking) = configs(settings, now, &self.provider, &self.tickets)?;
        self.current.store(Arc::new(current));
        self.asking.store(Arc::new(asking));
        Ok(())
    }

    /// What the next handshake uses.
    pub fn current(&self) -> Arc<rustls::ServerConfig> {
        self.current.load_full()
    }

    /// What the next handshake uses where client certificates are asked for.
    pub fn asking(&self) -> Arc<rustls::ServerConfig> {
        self.asking.load_full()
    }
}

fn configs(
    settings: &Tls,
    now: Timestamp,
    provider: &Arc<CryptoProvider>,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<(rustls::ServerConfig, rustls::ServerConfig), Vec<Fault>> {
    let choice = Arc::new(Choice::read(&settings.certificates, now, provider)?);
    let mut current = config(settings, choice.clone(), provider, WebPkiClientVerifier::no_client_auth())?;
    // Stateless tickets under rotating keys; nothing of a session is kept here, and early data is never accepted.
    current.ticketer = tickets.clone();
    current.send_tls13_tickets = 1;
    // Without tickets: each connection shows its certificate anew, and none of the other listeners' is resumed.
    let mut asking = config(settings, choice, provider, Arc::new(Asking::new(provider)))?;
    asking.send_tls13_tickets = 0;
    Ok((current, asking))
}

fn config(
    settings: &Tls,
    choice: Arc<Choice>,
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<rustls::ServerConfig, Vec<Fault>> {
    let versions: &[_] = match settings.min {
        Version::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Version::V13 => &[&rustls::version::TLS13],
    };
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|fault| vec![Fault::Tls(fault.to_string())])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(choice);
    // RFC 7301 §3.2: a client that speaks neither gets `no_application_protocol`.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Which certificate for which name.
#[derive(Debug)]
struct Choice {
    default: Arc<CertifiedKey>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Choice {
    fn read(
        certificates: &[Certificate],
        now: Timestamp,
        provider: &CryptoProvider,
    ) -> Result<Choice, Vec<Fault>> {
        let mut faults = Vec::new();
        let (mut default, mut exact, mut wildcard) = (None, HashMap::new(), HashMap::new());
        for certificate in certificates {
            let (key, hosts) = match read_pair(certificate, now, provider) {
                Ok(pair) => pair,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let hosts = match hosts_of(certificate, hosts, default.is_none()) {
                Ok(hosts) => hosts,
                Err(mut found) => {
                    faults.append(&mut found);
                    continue;
                }
            };
            for host in hosts {
                let (names, host) = match host.strip_prefix("*.") {
                    Some(suffix) => (&mut wildcard, suffix.to_owned()),
                    None => (&mut exact, host),
                };
                names.entry(host).or_insert_with(Vec::new).push(key.clone());
            }
            default.get_or_insert(key);
        }
        match default {
            Some(default) if faults.is_empty() => Ok(Choice { default, exact, wildcard }),
            None if faults.is_empty() => Err(vec![Fault::None]),
            _ => Err(faults),
        }
    }

    /// Several certificates for one name may differ in their kind of key: `fits` picks the first that will do.
    fn pick(&self, name: Option<&str>, fits: impl Fn(&CertifiedKey) -> bool) -> Arc<CertifiedKey> {
        let name = name.map(str::to_ascii_lowercase);
        let named = name
            .as_deref()
            .and_then(|name| self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1)));
        let fitting = named.and_then(|keys| keys.iter().find(|key| fits(key)).or_else(|| keys.first()));
        fitting.unwrap_or(&self.default).clone()
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        Some(self.pick(hello.server_name(), |key| key.key.choose_scheme(schemes).is_some()))
    }
}

/// A sound pair, and the host names in the certificate.
fn read_pair(
    certificate: &Certificate,
    now: Timestamp,
    provider: &CryptoProvider,
) -> Result<(Arc<CertifiedKey>, Vec<String>), Fault> {
    let Certificate { cert: cert_file, key: key_file, .. } = certificate;
    let malformed = |file: &Path, why: String| Fault::Malformed { file: file.to_owned(), why };
    let chain = CertificateDer::pem_slice_iter(&read_file(cert_file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault| malformed(cert_file, fault.to_string()))?;
    let Some(leaf) = chain.first() else {
        return Err(Fault::Empty { file: cert_file.clone(), what: "certificate" });
    };
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|_| malformed(cert_file, "holds no X.509 certificate".to_owned()))?;
    let validity = parsed.validity();
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    if validity.not_after.timestamp() < now {
        return Err(Fault::Expired { file: cert_file.clone(), when: validity.not_after.to_string() });
    }
    if validity.not_before.timestamp() > now {
        return Err(Fault::Early { file: cert_file.clone(), when: validity.not_before.to_string() });
    }
    let hosts = named_hosts(&parsed);
    let key = match PrivateKeyDer::from_pem_slice(&read_file(key_file)?) {
        Ok(key) => key,
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            return Err(Fault::Empty { file: key_file.clone(), what: "private key" });
        }
        Err(fault) => return Err(malformed(key_file, fault.to_string())),
    };
    let key = provider.key_provider.load_private_key(key).map_err(|fault| {
        malformed(key_file, format!("holds a key of a kind that cannot be used: {fault}"))
    })?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok((Arc::new(pair), hosts)),
        Err(_) => Err(Fault::Mismatch { cert: cert_file.clone(), key: key_file.clone() }),
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |why: String| Fault::Unreadable { file: file.to_owned(), why };
    let size = std::fs::metadata(file).map_err(|fault| unreadable(fault.to_string()))?;
    if !size.is_file() || size.len() > LARGEST_FILE {
        return Err(unreadable("it is no file of a sensible size".to_owned()));
    }
    std::fs::read(file).map_err(|fault| unreadable(fault.to_string()))
}

/// RFC 9525 §6.3: the DNS names of the subjectAltName; a common name is not a host name.
fn named_hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.collect()
}

/// The hosts to show a certificate for: those of the settings, which it must be valid for, or else its own.
fn hosts_of(
    certificate: &Certificate,
    named: Vec<String>,
    is_default: bool,
) -> Result<Vec<String>, Vec<Fault>> {
    if certificate.hosts.is_empty() {
        if named.is_empty() && !is_default {
            return Err(vec![Fault::Nameless { file: certificate.cert.clone() }]);
        }
        return Ok(named);
    }
    let (mut hosts, mut faults) = (Vec::new(), Vec::new());
    for written in &certificate.hosts {
        let host = written.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        if DnsName::try_from(host.strip_prefix("*.").unwrap_or(host)).is_err() {
            faults.push(Fault::NoHost { host: written.clone() });
        } else if !named.iter().any(|name| covers(name, host)) {
            faults.push(Fault::OtherHost { file: certificate.cert.clone(), host: written.clone() });
        } else {
            hosts.push(host.to_owned());
        }
    }
    if faults.is_empty() { Ok(hosts) } else { Err(faults) }
}

/// RFC 9525 §6.3: `*` stands for exactly one whole label, the first.
fn covers(name: &str, host: &str) -> bool {
    name == host
        || match (name.strip_prefix("*."), host.split_once('.')) {
            (Some(suffix), Some((_, rest))) => suffix == rest,
            _ => false,
        }
}

#[cfg(test)]
mod tests;
