//! Certificates made on the spot, in files of a temporary directory.

use super::*;
use crate::proxy::front::settings::Certificate;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// 2026-11-24T00:00:00Z, between the validity limits of the certificates made here.
const NOW: Timestamp = Timestamp(1_795_478_400);

fn params(hosts: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn write(dir: &TempDir, name: &str, params: CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let at = |suffix: &str| dir.path().join(format!("{name}.{suffix}"));
    std::fs::write(at("crt"), cert.pem()).unwrap();
    std::fs::write(at("key"), key.serialize_pem()).unwrap();
    Certificate { cert: at("crt"), key: at("key"), hosts: Vec::new() }
}

fn tls(certificates: Vec<Certificate>) -> Tls {
    Tls { certificates, min: Version::V12 }
}

fn choice(certificates: &[Certificate]) -> Choice {
    Choice::read(certificates, NOW, &rustls::crypto::ring::default_provider()).unwrap()
}

/// The file whose certificate a client naming `name` is shown.
fn shown<'a>(choice: &Choice, certificates: &'a [Certificate], name: Option<&str>) -> &'a Path {
    let picked = choice.pick(name, |_| true);
    let leaf = |certificate: &Certificate| {
        CertificateDer::from_pem_slice(&std::fs::read(&certificate.cert).unwrap()).unwrap()
    };
    &certificates.iter().find(|certificate| leaf(certificate) == picked.cert[0]).unwrap().cert
}

fn faults(certificate: Certificate) -> String {
    let Err(faults) = Certificates::load(&tls(vec![certificate]), NOW) else { panic!("was accepted") };
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_name_chooses_exact_before_wildcard_before_default() {
    let dir = TempDir::new().unwrap();
    let all = [
        write(&dir, "default", params(&["first.example", "127.0.0.1"])),
        write(&dir, "wild", params(&["*.example.org"])),
        write(&dir, "exact", params(&["a.example.org"])),
    ];
    let choice = choice(&all);
    let shown = |name| shown(&choice, &all, name).file_name().unwrap().to_str().unwrap().to_owned();
    for (name, file) in [
        (Some("a.example.org"), "exact.crt"),
        (Some("A.Example.ORG"), "exact.crt"),
        (Some("b.example.org"), "wild.crt"),
        (Some("c.b.example.org"), "default.crt"),
        (Some("example.org"), "default.crt"),
        (Some("other.example"), "default.crt"),
        (Some("first.example"), "default.crt"),
        (None, "default.crt"),
    ] {
        assert_eq!(shown(name), file, "{name:?}");
    }
}

#[test]
fn of_several_certificates_for_a_name_the_one_the_client_can_use_is_shown() {
    let dir = TempDir::new().unwrap();
    let all = [write(&dir, "one", params(&["a.example"])), write(&dir, "two", params(&["a.example"]))];
    let choice = choice(&all);
    let second = choice.exact["a.example"][1].clone();
    let picked = choice.pick(Some("a.example"), |key| std::ptr::eq(key, &*second));
    assert!(Arc::ptr_eq(&picked, &second));
}

#[test]
fn listed_hosts_replace_those_of_the_certificate_but_must_be_covered() {
    let dir = TempDir::new().unwrap();
    let mut narrow = write(&dir, "narrow", params(&["*.example.org", "b.example"]));
    narrow.hosts = vec!["A.example.org.".to_owned()];
    let all = [write(&dir, "default", params(&["first.example"])), narrow.clone()];
    let choice = choice(&all);
    assert_eq!(shown(&choice, &all, Some("a.example.org")), all[1].cert);
    assert_eq!(shown(&choice, &all, Some("b.example")), all[0].cert);

    narrow.hosts = vec!["example.org".to_owned(), "x.y.example.org".to_owned(), "not a host".to_owned()];
    let said = faults(narrow);
    for expected in
        ["narrow.crt: is not valid for `example.org`", "`x.y.example.org`", "`not a host` is no host name"]
    {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn every_faulty_file_is_named() {
    let dir = TempDir::new().unwrap();
    let sound = write(&dir, "sound", params(&["a.example"]));
    let other = write(&dir, "other", params(&["a.example"]));
    let at = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let with_cert = |cert: PathBuf| Certificate { cert, ..sound.clone() };
    let with_key = |key: PathBuf| Certificate { key, ..sound.clone() };
    let mut old = params(&["a.example"]);
    old.not_after = date_time_ymd(2026, 2, 1);
    let mut early = params(&["a.example"]);
    early.not_before = date_time_ymd(2026, 12, 24);
    let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, expected) in [
        (with_key(other.key), "sound.crt"),
        (with_cert(dir.path().join("absent")), "absent: cannot be read"),
        (with_cert(dir.path().to_owned()), "cannot be read"),
        (with_cert(at("empty", "")), "empty: holds no certificate in PEM form"),
        (with_cert(sound.key.clone()), "sound.key: holds no certificate in PEM form"),
        (with_cert(at("broken", broken)), "broken: "),
        (with_cert(at("no-der", no_der)), "no-der: holds no X.509 certificate"),
        (with_key(sound.cert.clone()), "sound.crt: holds no private key in PEM form"),
        (with_key(at("no-key", no_key)), "no-key: holds a key of a kind that cannot be used"),
        (write(&dir, "old", old), "old.crt: expired at "),
        (write(&dir, "early", early), "early.crt: is not valid before "),
    ] {
        let said = faults(certificate);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let nameless = write(&dir, "nameless", params(&[]));
    let Err(all) = Certificates::load(&tls(vec![sound, nameless]), NOW) else { panic!("was accepted") };
    assert!(matches!(all.as_slice(), [Fault::Nameless { .. }]), "{all:?}");
    assert!(matches!(Certificates::load(&tls(Vec::new()), NOW), Err(none) if none == [Fault::None]));
}

#[test]
fn a_reload_swaps_everything_or_nothing() {
    let dir = TempDir::new().unwrap();
    let first = write(&dir, "a", params(&["a.example"]));
    let certificates = Certificates::load(&tls(vec![first.clone()]), NOW).unwrap();
    let before = certificates.current();

    let mut old = params(&["b.example"]);
    old.not_after = date_time_ymd(2026, 2, 1);
    let expired = write(&dir, "b", old);
    let faults = certificates.reload(&tls(vec![first.clone(), expired]), NOW).unwrap_err();
    assert!(matches!(faults.as_slice(), [Fault::Expired { .. }]), "{faults:?}");
    assert!(Arc::ptr_eq(&before, &certificates.current()));

    write(&dir, "a", params(&["a.example"]));
    certificates.reload(&tls(vec![first]), NOW).unwrap();
    assert!(!Arc::ptr_eq(&before, &certificates.current()));
    assert!(Arc::ptr_eq(&before.ticketer, &certificates.current().ticketer));
}
