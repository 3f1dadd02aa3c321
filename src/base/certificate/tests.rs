//! Certificates made here, read back.

use super::*;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};

/// 2027-01-15.
const NOW: Timestamp = Timestamp(1_800_000_000);

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::OrganizationName, "Müller, Söhne + Co");
    params.distinguished_name.push(DnType::CommonName, "client #1");
    params
}

fn issued(params: &CertificateParams, by: &Issuer<'_, KeyPair>) -> Certificate {
    params.signed_by(&KeyPair::generate().unwrap(), by).unwrap()
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, Certificate) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate)
}

/// RFC 4514 §4.
#[test]
fn a_subject_is_who_its_text_names_and_nobody_else() {
    let made = params().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let subject = holder(made.der()).unwrap().subject;
    let is = |text: &str| DistinguishedName::parse(text).as_ref() == Some(&subject);
    for text in [
        r"CN=client #1,O=Müller\, Söhne \+ Co,C=DE",
        r"cn = client #1, o=M\C3\BCller\2C S\c3\b6hne \+ Co , 2.5.4.6=DE",
        r"2.5.4.3=client \#1,O=Müller\, Söhne \+ Co,C=DE",
    ] {
        assert!(is(text), "{text}");
    }
    for text in [
        r"C=DE,O=Müller\, Söhne \+ Co,CN=client #1",
        r"CN=Client #1,O=Müller\, Söhne \+ Co,C=DE",
        r"CN=client #1,O=Müller\, Söhne \+ Co",
        r"CN=client #1,O=Müller\, Söhne \+ Co,C=DE,C=DE",
        r"CN=client #1\ ,O=Müller\, Söhne \+ Co,C=DE",
        r"CN=client #1,O=Müller, Söhne + Co,C=DE",
        r"CN=client #1+O=Müller\, Söhne \+ Co,C=DE",
        "CN=client #1",
        "CN=",
        "",
        ",",
        "CN=client #1,",
        r"CN=client \",
        r"CN=client \x",
        "client #1",
        "XX=client #1",
    ] {
        assert!(!is(text), "{text}");
    }
}

#[test]
fn names_and_keys_are_read() {
    let mut made = params();
    let text = |text: &str| Ia5String::try_from(text).unwrap();
    made.subject_alt_names = vec![
        SanType::DnsName(text("client.example")),
        SanType::URI(text("spiffe://client.example/x")),
        SanType::IpAddress("192.0.2.1".parse().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::Rfc822Name(text("client@example.org")),
    ];
    let key = KeyPair::generate().unwrap();
    let read = holder(made.self_signed(&key).unwrap().der()).unwrap();
    assert_eq!(
        (read.dns, read.uris),
        (vec!["client.example".into()], vec!["spiffe://client.example/x".into()])
    );
    assert_eq!(read.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
    assert_eq!(read.emails, ["client@example.org"]);
    let members = read.key.unwrap();
    assert_eq!((&members["kty"], &members["crv"]), (&json!("EC"), &json!("P-256")));
    assert_eq!(members["x"], base64url(&key.public_key_raw()[1..33]));
    for (algorithm, crv) in [(&PKCS_ECDSA_P384_SHA384, "P-384"), (&PKCS_ED25519, "Ed25519")] {
        let made = params().self_signed(&KeyPair::generate_for(algorithm).unwrap()).unwrap();
        assert_eq!(holder(made.der()).unwrap().key.unwrap()["crv"], crv);
    }
    assert!(holder(b"").is_none() && holder(&[0x30; 40]).is_none() && holder(&[0; 20_000]).is_none());
    assert!(!is_well_formed(&[made.self_signed(&key).unwrap().der().as_ref(), b"x"].concat()));
}

/// RFC 5280 §6.
#[test]
fn an_authority_vouches_for_what_it_signed_while_it_is_valid() {
    let ((ca, ca_certificate), (stranger, _)) = (authority("CA"), authority("CA"));
    let authorities = Authorities::parse(ca_certificate.pem().as_bytes()).unwrap();
    let vouches = |certificate: &Certificate, between: &[&[u8]], now| {
        authorities.vouch_for(certificate.der(), between, now)
    };
    let good = issued(&params(), &ca);
    assert!(vouches(&good, &[], NOW));
    assert!(!vouches(&issued(&params(), &stranger), &[], NOW));
    assert!(!vouches(&params().self_signed(&KeyPair::generate().unwrap()).unwrap(), &[], NOW));
    let mut ending = params();
    ending.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let ended = issued(&ending, &ca);
    assert!(!vouches(&ended, &[], NOW) && vouches(&ended, &[], Timestamp(NOW.0 - 40 * 86_400)));
    let mut server = params();
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(!vouches(&issued(&server, &ca), &[], NOW), "for servers only");
    server.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    assert!(vouches(&issued(&server, &ca), &[], NOW));

    let mut middle = CertificateParams::new(Vec::<String>::new()).unwrap();
    middle.distinguished_name.push(DnType::CommonName, "between");
    middle.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let middle_certificate = middle.signed_by(&key, &ca).unwrap();
    let below = issued(&params(), &Issuer::new(middle, key));
    assert!(!vouches(&below, &[], NOW) && vouches(&below, &[middle_certificate.der()], NOW));
    // What is no authority vouches for nobody.
    let key = KeyPair::generate().unwrap();
    let leaf = params();
    let leaf_certificate = leaf.signed_by(&key, &ca).unwrap();
    let below = issued(&params(), &Issuer::new(leaf, key));
    assert!(!vouches(&below, &[leaf_certificate.der()], NOW));
    for bad in ["", "nonsense"] {
        assert!(Authorities::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}
