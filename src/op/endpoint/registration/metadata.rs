//! Client metadata, from what was sent to what is kept (RFC 7591 §2, OpenID Connect Registration §2).
//!
//! What we do not offer is dropped, and the answer says what was kept (RFC 7591 §3.2.1); refused is only what is
//! unsafe, contradicts itself, or leaves nothing usable.

use super::bound::{self, bound};
use super::logout::{self, logout};
use crate::base::uri::{self, Redirect};
use crate::jose::jwk::JwkSet;
use crate::jose::{Algorithm, MacAlgorithm};
use crate::op::client_auth;
use crate::op::error::{Code, Error};
use crate::op::grant;
use crate::op::record::client::Metadata;
use crate::op::response_type::{self, IMPLICIT, ResponseType};
use crate::op::settings::{Settings, SubjectType};
use serde_json::{Map, Value};

/// What ID tokens and other answers are signed with, as a client may register it: our keys' algorithms, EdDSA under both
/// its names (RFC 9864), and MACs under its own secret.
pub(crate) fn signing_algs(settings: &Settings) -> Vec<&'static str> {
    let keys = settings.keys.algorithms.iter().flat_map(|alg| match alg {
        Algorithm::EdDSA => vec![Algorithm::EdDSA.name(), Algorithm::Ed25519.name()],
        alg => vec![alg.name()],
    });
    keys.chain(MacAlgorithm::ALL.map(MacAlgorithm::name)).collect()
}

/// The algorithms a client may sign its assertions with.
pub(crate) const ASSERTION_ALGS: [&str; 7] =
    ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "RS512"];

/// Why metadata was refused, and for which member.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub member: Option<String>,
    pub error: Error,
}

pub(super) type Checked<T> = Result<T, Refusal>;

pub(super) fn refuse<T>(member: &str, says: impl Into<String>) -> Checked<T> {
    let says = format!("{member}: {}", says.into());
    Err(Refusal { member: Some(member.to_owned()), error: Error::new(Code::InvalidClientMetadata, says) })
}

fn refuse_uri<T>(member: &str, says: impl Into<String>) -> Checked<T> {
    let says = format!("{member}: {}", says.into());
    Err(Refusal { member: Some(member.to_owned()), error: Error::new(Code::InvalidRedirectUri, says) })
}

const KNOWN: [&str; 24] = [
    "redirect_uris",
    "response_types",
    "grant_types",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "application_type",
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "contacts",
    "scope",
    "jwks_uri",
    "jwks",
    "subject_type",
    "sector_identifier_uri",
    "id_token_signed_response_alg",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "initiate_login_uri",
    "post_logout_redirect_uris",
    "post_logout_redirect_uri",
];

/// Members that may carry a language tag (`client_name#de`).
const LOCALIZED: [&str; 5] = ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

pub(crate) fn is_known(member: &str) -> bool {
    let plain = member.split('#').next().unwrap_or(member);
    KNOWN.contains(&member)
        || logout::MEMBERS.contains(&member)
        || super::protection::MEMBERS.contains(&member)
        || super::request_object::MEMBERS.contains(&member)
        || matches!(member, "software_id" | "software_version" | "authorization_details_types")
        || bound::MEMBERS.contains(&member)
        || (member.contains('#') && LOCALIZED.contains(&plain))
}

/// Whether a client of this method proves itself by a secret.
pub(crate) fn needs_secret(method: &str) -> bool {
    matches!(method, "client_secret_basic" | "client_secret_post" | "client_secret_jwt")
}

/// Everything that can be checked without asking anybody else.
pub(crate) fn validate(settings: &Settings, sent: &Map<String, Value>) -> Checked<Metadata> {
    let sent = Sent(sent);
    let mut kept = Metadata {
        application_type: sent.text("application_type", 20)?.unwrap_or_else(|| "web".into()),
        client_name: sent.text("client_name", 200)?,
        contacts: sent.texts("contacts", 20)?,
        scope: sent.text("scope", 4096)?,
        require_auth_time: sent.flag("require_auth_time")?,
        default_max_age: sent.seconds("default_max_age")?,
        default_acr_values: sent.texts("default_acr_values", 20)?,
        software_id: sent.text("software_id", 200)?,
        software_version: sent.text("software_version", 200)?,
        ..Metadata::default()
    };
    if !["web", "native"].contains(&kept.application_type.as_str()) {
        return refuse("application_type", "must be web or native");
    }
    flows(settings, &sent, &mut kept)?;
    authentication(settings, &sent, &mut kept)?;
    addresses(&sent, &mut kept)?;
    subject(settings, &sent, &mut kept)?;
    logout(&sent, &mut kept)?;
    super::protection::check(settings, &sent, &mut kept)?;
    super::request_object::check(settings, &sent, &mut kept)?;
    // RFC 9396 §10.
    kept.authorization_details_types = distinct(sent.texts("authorization_details_types", 50)?);
    kept.authorization_details_types.retain(|name| settings.authorization_details.types.contains_key(name));
    bound(settings, &sent, &mut kept)?;
    kept.id_token_signed_response_alg = match sent.text("id_token_signed_response_alg", 20)? {
        None => "RS256".into(),
        Some(alg) if signing_algs(settings).contains(&alg.as_str()) => alg,
        Some(_) => {
            let known = signing_algs(settings);
            return refuse("id_token_signed_response_alg", format!("must be one of {known:?}"));
        }
    };
    secret(&kept)?;
    Ok(kept)
}

/// OpenID Connect Core §10.1: a MAC is made with the client secret, so there must be one.
fn secret(kept: &Metadata) -> Checked<()> {
    if kept.least_secret().is_some() && !needs_secret(&kept.token_endpoint_auth_method) {
        let says = "must be one with a client secret, since an algorithm with one (HS256 and the like) is registered";
        return refuse("token_endpoint_auth_method", says);
    }
    Ok(())
}

/// Response and grant types that fit each other and are offered here.
fn flows(settings: &Settings, sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    let offered = |name: &&String| {
        grant::GRANTS.iter().any(|grant| grant.name() == name.as_str() && grant.is_enabled(settings))
    };
    let grants = sent.texts("grant_types", 50)?;
    let types = sent.texts("response_types", 50)?;
    kept.grant_types = distinct(grants.iter().filter(offered).cloned().collect());
    let by_machine = !kept.grant_types.is_empty()
        && !grants.iter().any(|grant| grant == "authorization_code" || grant == IMPLICIT);
    let mut kinds: Vec<&ResponseType> = Vec::new();
    for name in &types {
        // As it was sent: the order of its words is the client's.
        let kind = response_type::find(name).filter(|kind| response_type::is_offered(settings, kind));
        if let Some(kind) = kind.filter(|kind| !kinds.contains(kind)) {
            kinds.push(kind);
            kept.response_types.push(name.clone());
        }
    }
    if types.is_empty() && !by_machine {
        // OpenID Connect Registration §2: code is the default, for clients that use the authorization endpoint.
        kinds.extend(response_type::offered(settings).find(|kind| kind.name == "code"));
        kept.response_types.extend(kinds.iter().map(|kind| kind.name.to_owned()));
    }
    if kinds.is_empty() && !by_machine {
        let names: Vec<_> = response_type::offered(settings).map(|kind| kind.name).collect();
        return refuse("response_types", format!("none of these is offered here, only {names:?}"));
    }
    // RFC 7591 §2.1: the two must be consistent; a response type says that it wants the flow.
    let wanted = kinds.iter().flat_map(|kind| kind.grants());
    for grant in wanted.chain(grants.is_empty().then_some("authorization_code")) {
        if !kept.grant_types.iter().any(|known| known == grant) {
            let at = usize::from(grant == IMPLICIT && !kept.grant_types.is_empty());
            kept.grant_types.insert(at, grant.to_owned());
        }
    }
    if kept.grant_types.is_empty() || kept.grant_types == ["refresh_token"] {
        return refuse("grant_types", "none of these is offered here");
    }
    Ok(())
}

fn authentication(settings: &Settings, sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    let method = sent.text("token_endpoint_auth_method", 50)?;
    let method = method.unwrap_or_else(|| "client_secret_basic".into());
    let mut offered = client_auth::offered(settings);
    if !offered.any(|known| known == method) {
        let offered: Vec<_> = client_auth::offered(settings).collect();
        return refuse("token_endpoint_auth_method", format!("must be one of {offered:?}"));
    }
    if method == "none" && kept.grant_types.iter().any(|grant| grant == "client_credentials") {
        return refuse("grant_types", "client_credentials is for clients that authenticate");
    }
    kept.token_endpoint_auth_signing_alg = match sent.text("token_endpoint_auth_signing_alg", 20)? {
        Some(alg) if method == "private_key_jwt" && !ASSERTION_ALGS.contains(&alg.as_str()) => {
            return refuse("token_endpoint_auth_signing_alg", format!("must be one of {ASSERTION_ALGS:?}"));
        }
        Some(alg) if method == "client_secret_jwt" && MacAlgorithm::parse(&alg).is_none() => {
            let known = MacAlgorithm::ALL.map(MacAlgorithm::name);
            return refuse("token_endpoint_auth_signing_alg", format!("must be one of {known:?}"));
        }
        other => other.filter(|_| matches!(method.as_str(), "private_key_jwt" | "client_secret_jwt")),
    };
    kept.jwks_uri = sent.text("jwks_uri", 2048)?;
    kept.jwks = sent.0.get("jwks").filter(|value| !value.is_null()).cloned();
    if kept.jwks_uri.is_some() && kept.jwks.is_some() {
        // RFC 7591 §2.
        return refuse("jwks", "must not be given together with jwks_uri");
    }
    if let Some(uri) = &kept.jwks_uri
        && !uri::is_https_url(uri)
    {
        return refuse("jwks_uri", "must be an https URL");
    }
    if let Some(jwks) = &kept.jwks {
        match JwkSet::from_value(jwks) {
            Ok(set) if set.has_private_members() => return refuse("jwks", "must hold public keys only"),
            Ok(_) => {}
            Err(fault) => return refuse("jwks", fault.to_string()),
        }
    }
    if method == "private_key_jwt" && kept.jwks_uri.is_none() && kept.jwks.is_none() {
        return refuse("token_endpoint_auth_method", "private_key_jwt needs jwks or jwks_uri");
    }
    kept.token_endpoint_auth_method = method;
    Ok(())
}

fn addresses(sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    kept.redirect_uris = distinct(sent.texts("redirect_uris", 100)?);
    if kept.redirect_uris.is_empty() && !kept.response_types.is_empty() {
        return refuse_uri("redirect_uris", "at least one is needed");
    }
    for uri in &kept.redirect_uris {
        check_redirect(uri, &kept.application_type)
            .or_else(|says| refuse_uri("redirect_uris", format!("{uri}: {says}")))?;
    }
    kept.post_logout_redirect_uris = sent.texts("post_logout_redirect_uris", 100)?;
    // Some deployed relying parties send the singular.
    kept.post_logout_redirect_uris.extend(sent.text_or_texts("post_logout_redirect_uri")?);
    kept.post_logout_redirect_uris = distinct(std::mem::take(&mut kept.post_logout_redirect_uris));
    for uri in &kept.post_logout_redirect_uris {
        check_redirect(uri, &kept.application_type)
            .or_else(|says| refuse("post_logout_redirect_uris", format!("{uri}: {says}")))?;
    }
    let page = |member: &str| -> Checked<Option<String>> {
        match sent.text(member, 2048)? {
            Some(uri) if !is_web(&uri) => refuse(member, "must be an http or https URL"),
            other => Ok(other),
        }
    };
    (kept.client_uri, kept.logo_uri) = (page("client_uri")?, page("logo_uri")?);
    (kept.policy_uri, kept.tos_uri) = (page("policy_uri")?, page("tos_uri")?);
    kept.initiate_login_uri = match sent.text("initiate_login_uri", 2048)? {
        Some(uri) if !uri::is_https_url(&uri) => return refuse("initiate_login_uri", "must be an https URL"),
        other => other,
    };
    localized(sent, kept)
}

fn localized(sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    for (member, value) in sent.0 {
        let Some((plain, tag)) = member.split_once('#') else { continue };
        if !LOCALIZED.contains(&plain) || tag.len() > 35 || kept.localized.len() >= 100 {
            continue;
        }
        let Some(text) = value.as_str().filter(|text| text.len() <= 2048 && !text.contains(is_tricky)) else {
            return refuse(member, "must be a text of at most 2048 bytes");
        };
        if plain != "client_name" && !is_web(text) {
            return refuse(member, "must be an http or https URL");
        }
        kept.localized.insert(member.clone(), Value::String(text.to_owned()));
    }
    Ok(())
}

fn subject(settings: &Settings, sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    kept.subject_type = match sent.text("subject_type", 20)?.as_deref() {
        None => settings.subject_type,
        Some("public") => SubjectType::Public,
        Some("pairwise") => SubjectType::Pairwise,
        Some(_) => return refuse("subject_type", "must be public or pairwise"),
    };
    kept.sector_identifier_uri = sent.text("sector_identifier_uri", 2048)?;
    match &kept.sector_identifier_uri {
        Some(uri) if !uri::is_https_url(uri) => {
            return refuse("sector_identifier_uri", "must be an https URL");
        }
        Some(_) => {}
        // OpenID Connect Core §8.1: several hosts need a sector identifier to be one sector.
        None if kept.subject_type == SubjectType::Pairwise && super::sector::hosts(kept).len() > 1 => {
            return refuse("sector_identifier_uri", "is needed: the redirect URIs have several hosts");
        }
        None => {}
    }
    Ok(())
}

/// Whether `uri` may be redirected to by a client of this application type (RFC 8252 §7, RFC 9700 §4.1.1).
///
/// # Errors
/// What is wrong with it.
fn check_redirect(uri: &str, application_type: &str) -> Result<(), &'static str> {
    match (uri::redirect(uri), application_type) {
        // RFC 6749 §3.1.2.
        // A URI that some server down the line decodes into a header's end.
        _ if ["%0a", "%0d", "%00"].iter().any(|odd| uri.to_ascii_lowercase().contains(odd)) => {
            Err("must not hold encoded control characters")
        }
        (None, _) if uri::has_fragment(uri) => Err("must not have a fragment"),
        (None, _) => Err("must be an absolute URI that every parser reads alike, of a safe scheme"),
        (Some(Redirect::Http), _) => Err("http is for loopback addresses only: use https"),
        (Some(Redirect::Https | Redirect::Loopback), _) | (Some(Redirect::PrivateUse), "native") => Ok(()),
        (Some(Redirect::PrivateUse), _) => {
            Err("a scheme of its own is for native applications (application_type native)")
        }
    }
}

/// An http or https URL: what a page may link to.
fn is_web(uri: &str) -> bool {
    matches!(uri::redirect(uri), Some(Redirect::Https | Redirect::Loopback | Redirect::Http))
}

/// The host by which sectors are told apart (OpenID Connect Core §8.1).
pub(crate) fn sector_host(uri: &str) -> Option<String> {
    url::Url::parse(uri).ok().and_then(|uri| uri.host_str().map(str::to_owned))
}

/// Controls, and what turns the direction of the text around it: a name must look like what it is.
pub(crate) fn is_tricky(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn distinct(list: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    list.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

/// What was sent, read with types and caps. `null` is as if it was not sent.
pub(super) struct Sent<'a>(pub(super) &'a Map<String, Value>);

impl Sent<'_> {
    pub(super) fn text(&self, member: &str, max: usize) -> Checked<Option<String>> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.len() <= max && !text.contains(is_tricky) => {
                Ok(Some(text.clone()))
            }
            Some(_) => refuse(member, format!("must be a text of at most {max} bytes")),
        }
    }

    pub(super) fn texts(&self, member: &str, max: usize) -> Checked<Vec<String>> {
        let wrong = || refuse(member, format!("must be a list of at most {max} texts of at most 2048 bytes"));
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= max => {
                let texts: Option<Vec<_>> =
                    list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                match texts {
                    Some(texts) if texts.iter().all(|text| text.len() <= 2048 && !text.is_empty()) => {
                        Ok(texts)
                    }
                    _ => wrong(),
                }
            }
            Some(_) => wrong(),
        }
    }

    fn text_or_texts(&self, member: &str) -> Checked<Vec<String>> {
        match self.0.get(member) {
            Some(Value::Array(_)) => self.texts(member, 100),
            _ => Ok(self.text(member, 2048)?.into_iter().collect()),
        }
    }

    /// Whether it was sent.
    pub(super) fn has(&self, member: &str) -> bool {
        self.0.get(member).is_some_and(|value| !value.is_null())
    }

    pub(super) fn flag(&self, member: &str) -> Checked<bool> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => refuse(member, "must be true or false"),
        }
    }

    fn seconds(&self, member: &str) -> Checked<Option<u64>> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|seconds| *seconds <= 3_155_760_000) {
                Some(seconds) => Ok(Some(seconds)),
                None => refuse(member, "must be a whole number of seconds"),
            },
        }
    }
}
