//! Software statements (RFC 7591 §2.3, §3.1.1): what somebody we trust says of a client's software goes before what
//! the client says of itself.

use super::metadata::{ASSERTION_ALGS, is_known};
use crate::base::clock::Timestamp;
use crate::jose::{Algorithm, Expiry, Jws, Rules};
use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::settings::trust;
use serde_json::{Map, Value};
use std::time::Duration;

const MEMBER: &str = "software_statement";

/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// Puts the statement's claims over the members of `sent`; returns the statement as it came. `known` is the one that
/// counted before: it may have expired since.
pub(super) async fn apply(
    op: &Op,
    sent: &mut Map<String, Value>,
    known: Option<&str>,
    now: Timestamp,
) -> Result<Option<String>> {
    let settings = &op.settings.software_statements;
    let statement = match sent.shift_remove(MEMBER) {
        // RFC 7591 §3.1.1: who does not support statements ignores them.
        _ if settings.issuers.is_empty() => return Ok(None),
        None | Some(Value::Null) if settings.required => {
            return Err(invalid("A software_statement is needed here"));
        }
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(statement)) => statement,
        Some(_) => return Err(invalid("The software_statement must be a text")),
    };
    let expiry = if known == Some(statement.as_str()) { Expiry::Ignored } else { Expiry::IfPresent };
    let claims = verified(op, &statement, expiry, now).await?;
    // RFC 7591 §2.2: the same in another language would be shown instead; the singular would add to a list.
    let is_said = |member: &String| {
        let plain = member.split('#').next().unwrap_or(member);
        let alone = (member == "post_logout_redirect_uri").then_some("post_logout_redirect_uris");
        claims.contains_key(plain) || alone.is_some_and(|list| claims.contains_key(list))
    };
    sent.retain(|member, _| !is_said(member));
    let about_it = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
    for (name, value) in claims {
        if is_known(&name) && !about_it.contains(&name.as_str()) {
            sent.insert(name, value);
        }
    }
    Ok(Some(statement))
}

async fn verified(op: &Op, statement: &str, expiry: Expiry, now: Timestamp) -> Result<Map<String, Value>> {
    let broken = |fault| invalid("The software_statement is not valid").because(fault);
    let issuer = {
        let jws = Jws::parse(statement).map_err(broken)?;
        let claimed = jws.unverified_claims().get("iss").and_then(Value::as_str).unwrap_or("").to_owned();
        let trusted = op.settings.software_statements.issuers.iter();
        let known = trusted.into_iter().find(|trusted| trusted.issuer == claimed);
        known.ok_or_else(|| {
            let says = "The software_statement is of an issuer that does not count here";
            Error::new(Code::UnapprovedSoftwareStatement, says)
        })?
    };
    let keys = trust::keys(issuer.jwks.as_ref(), issuer.jwks_uri.as_deref());
    let keys = keys.ok_or_else(|| invalid("The software_statement cannot be verified"))?;
    let algorithms: Vec<_> = ASSERTION_ALGS.iter().filter_map(|name| Algorithm::parse(name)).collect();
    let rules =
        Rules { issuer: Some(&issuer.issuer), expiry, leeway: LEEWAY, ..Rules::new(&algorithms, now) };
    let verified = op.shared.remote.verify(statement, keys, &rules).await.map_err(broken)?;
    Ok(verified.claims)
}

fn invalid(says: &'static str) -> Error {
    Error::new(Code::InvalidSoftwareStatement, says)
}

#[cfg(test)]
mod tests;
