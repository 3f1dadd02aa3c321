//! What a client registers about tokens that are bound to it (RFC 9449 §5.2, RFC 8705 §3.4), and about the certificates
//! it shows (RFC 8705 §2.1.2).

use super::metadata::{Checked, Sent, refuse};
use crate::base::certificate::DistinguishedName;
use crate::op::record::client::Metadata;
use crate::op::settings::Settings;
use std::net::IpAddr;

pub(super) const MEMBERS: [&str; 7] = [
    "dpop_bound_access_tokens",
    "tls_client_certificate_bound_access_tokens",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];

/// To be called once the client's method and keys are known.
pub(super) fn bound(settings: &Settings, sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    let [dpop, certificate, names @ ..] = MEMBERS;
    kept.dpop_bound_access_tokens = sent.flag(dpop)?;
    kept.tls_client_certificate_bound_access_tokens = sent.flag(certificate)?;
    if kept.tls_client_certificate_bound_access_tokens && settings.mtls.is_none() {
        // Tokens that anybody could use are not what it asked for.
        return refuse(certificate, "is not offered here");
    }
    match kept.token_endpoint_auth_method.as_str() {
        "tls_client_auth" => subject(sent, kept, names),
        "self_signed_tls_client_auth" if kept.jwks.is_none() && kept.jwks_uri.is_none() => {
            refuse("token_endpoint_auth_method", "self_signed_tls_client_auth needs jwks or jwks_uri")
        }
        _ => Ok(()),
    }
}

/// Exactly one, and one that some certificate could have.
fn subject(sent: &Sent<'_>, kept: &mut Metadata, names: [&str; 5]) -> Checked<()> {
    let [dn, dns, uri, ip, email] = names;
    let given = names.iter().filter(|name| sent.has(name)).count();
    if given != 1 {
        return refuse(
            "token_endpoint_auth_method",
            format!("tls_client_auth needs exactly one of {names:?}"),
        );
    }
    let member = |name: &str, says: &str, good: fn(&str) -> bool| match sent.text(name, 2_048)? {
        Some(text) if !good(&text) => refuse(name, says),
        other => Ok(other),
    };
    kept.tls_client_auth_subject_dn = member(dn, "must be a distinguished name as of RFC 4514", |text| {
        DistinguishedName::parse(text).is_some()
    })?;
    kept.tls_client_auth_san_dns = member(dns, "must be the name of a host", |text| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    })?;
    kept.tls_client_auth_san_uri = member(uri, "must be a URI", |text| url::Url::parse(text).is_ok())?;
    kept.tls_client_auth_san_ip = member(ip, "must be an IP address", |text| text.parse::<IpAddr>().is_ok())?;
    kept.tls_client_auth_san_email = member(email, "must be an e-mail address", |text| text.contains('@'))?;
    Ok(())
}
