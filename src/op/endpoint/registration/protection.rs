//! How a client wants ID tokens, userinfo, introspection and authorization answers signed and encrypted (OpenID Connect
//! Registration §2, RFC 9701 §6, JARM §3). What is not offered is refused here and not dropped: the client would be told in clear what it
//! wanted encrypted.

use super::metadata::{Checked, Sent, refuse, signing_algs};
use crate::jose::{Encryption, JweAlg, JweEnc, JwkSet};
use crate::op::record::client::Metadata;
use crate::op::settings::Settings;

pub(super) const MEMBERS: [&str; 11] = [
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "introspection_signed_response_alg",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "authorization_signed_response_alg",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
];

/// To be called once the client's keys are known.
pub(super) fn check(settings: &Settings, sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    kept.userinfo_signed_response_alg = signing(settings, sent, "userinfo_signed_response_alg")?;
    kept.introspection_signed_response_alg = signing(settings, sent, "introspection_signed_response_alg")?;
    (kept.id_token_encrypted_response_alg, kept.id_token_encrypted_response_enc) =
        encryption(sent, kept, "id_token_encrypted_response")?;
    (kept.userinfo_encrypted_response_alg, kept.userinfo_encrypted_response_enc) =
        encryption(sent, kept, "userinfo_encrypted_response")?;
    (kept.introspection_encrypted_response_alg, kept.introspection_encrypted_response_enc) =
        encryption(sent, kept, "introspection_encrypted_response")?;
    // JARM §3.
    kept.authorization_signed_response_alg = signing(settings, sent, "authorization_signed_response_alg")?;
    (kept.authorization_encrypted_response_alg, kept.authorization_encrypted_response_enc) =
        encryption(sent, kept, "authorization_encrypted_response")?;
    Ok(())
}

/// `none` of userinfo is what it is without the member: not signed.
fn signing(settings: &Settings, sent: &Sent<'_>, member: &str) -> Checked<Option<String>> {
    match sent.text(member, 20)? {
        Some(none) if none == "none" && member.starts_with("userinfo") => Ok(None),
        Some(alg) if !signing_algs(settings).contains(&alg.as_str()) => {
            refuse(member, format!("must be one of {:?}", signing_algs(settings)))
        }
        other => Ok(other),
    }
}

/// The members `PREFIX_alg` and `PREFIX_enc`, the second completed.
pub(super) fn encryption(
    sent: &Sent<'_>,
    kept: &Metadata,
    prefix: &str,
) -> Checked<(Option<String>, Option<String>)> {
    let (alg_member, enc_member) = (format!("{prefix}_alg"), format!("{prefix}_enc"));
    let (alg, enc) = (sent.text(&alg_member, 30)?, sent.text(&enc_member, 30)?);
    let Some(name) = alg else {
        // OpenID Connect Registration §2: `enc` only together with `alg`.
        return match enc {
            None => Ok((None, None)),
            Some(_) => refuse(&enc_member, format!("needs {alg_member}")),
        };
    };
    let Some(alg) = JweAlg::parse(&name) else {
        return refuse(&alg_member, format!("must be one of {:?}", JweAlg::ALL.map(JweAlg::name)));
    };
    let Some(how) = Encryption::parse(&name, enc.as_deref()) else {
        return refuse(&enc_member, format!("must be one of {:?}", JweEnc::ALL.map(JweEnc::name)));
    };
    let fits = match &kept.jwks {
        Some(jwks) => JwkSet::from_value(jwks).is_ok_and(|set| set.encryption_key(alg).is_some()),
        None => kept.jwks_uri.is_some(),
    };
    if !fits {
        return refuse(&alg_member, format!("needs jwks with a key for {alg}, or jwks_uri"));
    }
    Ok((Some(name), Some(how.enc.name().to_owned())))
}
