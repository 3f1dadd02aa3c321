//! What a client registers of its requests (OpenID Connect Registration §2, RFC 9101 §10.5, RFC 9126 §6).

use super::metadata::{Checked, Sent, refuse};
use crate::base::uri;
use crate::jose::Encryption;
use crate::op::record::client::Metadata;
use crate::op::request::object;
use crate::op::settings::Settings;

pub(super) const MEMBERS: [&str; 6] = [
    "request_object_signing_alg",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "request_uris",
    "require_signed_request_object",
    "require_pushed_authorization_requests",
];

pub(super) fn check(settings: &Settings, sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    let alg = sent.text("request_object_signing_alg", 20)?;
    kept.request_object_signing_alg =
        alg.filter(|alg| object::signing_algs(settings).contains(&alg.as_str()));
    // It may encrypt them by any other, too: this only says what it means to do.
    let alg = sent.text("request_object_encryption_alg", 30)?.unwrap_or_default();
    let enc = sent.text("request_object_encryption_enc", 30)?;
    if let Some(how) = Encryption::parse(&alg, enc.as_deref()) {
        kept.request_object_encryption_alg = Some(alg);
        kept.request_object_encryption_enc = Some(how.enc.name().to_owned());
    }
    kept.require_signed_request_object = sent.flag("require_signed_request_object")?;
    kept.require_pushed_authorization_requests = sent.flag("require_pushed_authorization_requests")?;
    if kept.require_signed_request_object && kept.request_object_signing_alg.as_deref() == Some("none") {
        return refuse("request_object_signing_alg", "must not be none where signed ones are required");
    }
    kept.request_uris = sent.texts("request_uris", 100)?;
    for uri in &kept.request_uris {
        let address = uri.split('#').next().unwrap_or(uri);
        if !uri::is_https_url(address) {
            return refuse("request_uris", "each must be an https URL");
        }
    }
    Ok(())
}
