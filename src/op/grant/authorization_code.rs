//! `authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.6, OpenID Connect Core §3.1.3): a code is redeemed once, by the
//! client it was given to. Its second use ends everything that came of the first.

use super::{Asked, Grant, lineage};
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::{equal, sha256};
use crate::op::Op;
use crate::op::error::{Result, invalid_grant};
use crate::op::record::client::Client;
use crate::op::record::code::Code;
use crate::op::record::family::{Authorization, Family};
use crate::op::request::authorization_details;
use crate::op::token::mint::{Descent, Issue, family_ends};
use crate::op::token::refresh::RefreshToken;
use crate::op::token::{audience, revoke};
use crate::store::Expect;
use crate::store::record::{self, Stored, put};
use async_trait::async_trait;

pub struct AuthorizationCode;

#[async_trait]
impl Grant for AuthorizationCode {
    fn name(&self) -> &'static str {
        "authorization_code"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3"
    }

    async fn prove(&self, op: &Op, asked: &Asked<'_>) -> Result<Issue> {
        let Asked { client, params, now, .. } = *asked;
        let client = client.client();
        let handle = params.required("code")?;
        let found = record::get::<Code>(op.store(), Code::digest_of(handle), now).await?;
        let Some(Stored { record: code, version, .. }) = found else { return Err(unknown()) };
        // Another client's code stays what it is: whoever found it must not be able to spoil it.
        if code.client_id != client.client_id {
            return Err(unknown());
        }
        if code.spent {
            // RFC 6749 §4.1.2, RFC 9700 §4.5: one of the two redeemers was not the client.
            revoke::family_of(op, &code.family, now).await?;
            return Err(invalid_grant("The code was used before"));
        }
        if code.redeem_until <= now {
            return Err(invalid_grant("The code has expired"));
        }
        // §4.1.3: identical to the one of the authorization request.
        if params.required("redirect_uri")? != code.redirect_uri {
            return Err(invalid_grant("The redirect_uri is not that of the authorization request"));
        }
        check_verifier(client, code.code_challenge.as_deref(), params.one("code_verifier"))?;
        // RFC 9449 §10: the key that the authorization request announced.
        if code.dpop_jkt.is_some() && code.dpop_jkt != asked.confirmation.jkt {
            return Err(invalid_grant("The code is bound to another key"));
        }
        issue(op, client, code, version, asked).await
    }
}

fn unknown() -> crate::op::error::Error {
    invalid_grant("The code is not valid")
}

/// RFC 7636 §4.6. RFC 9700 §2.1.1: a verifier without a challenge is refused, or PKCE could be stripped.
fn check_verifier(client: &Client, challenge: Option<&str>, verifier: Option<&str>) -> Result<()> {
    match (challenge, verifier) {
        (None, None) if !client.is_public() => Ok(()),
        (None, None) => Err(invalid_grant("A public client needs PKCE")),
        (None, Some(_)) => Err(invalid_grant("There was no code_challenge")),
        (Some(_), None) => Err(invalid_grant("The code_verifier is missing")),
        (Some(challenge), Some(verifier)) => {
            let unreserved =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            // §4.1.
            if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
                return Err(invalid_grant("The code_verifier is malformed"));
            }
            let derived = base64url(&sha256(verifier.as_bytes()));
            match equal(derived.as_bytes(), challenge.as_bytes()) {
                true => Ok(()),
                false => Err(invalid_grant("The code_verifier does not fit")),
            }
        }
    }
}

async fn issue(op: &Op, client: &Client, code: Code, version: u64, asked: &Asked<'_>) -> Result<Issue> {
    let Asked { params, now, .. } = *asked;
    let authorization = Authorization { confirmation: asked.for_refresh(), ..code.authorization.clone() };
    let resources = audience::narrow(&authorization.resources, params.all("resource"))?;
    let details = authorization_details::narrow(op, client, params, &authorization.authorization_details)?;
    let authorization_details = authorization_details::of_resources(&op.settings, &details, &resources);
    let (founded, ends, expect) = match founded(op, &code, now).await? {
        Some(Stored { record, version, .. }) => {
            let ends = record.expires;
            (Some(record), ends, Expect::Version(version))
        }
        None => (None, family_ends(op, &authorization, code.created, now).await?, Expect::Absent),
    };
    let refresh = gets_refresh_token(client, &authorization);
    let refresh = if refresh { Some(RefreshToken::first(op, &code.family)?) } else { None };
    let lineage = refresh.as_ref().map(|token| lineage(op, token, 0, None, ends, now));
    let family = founded.unwrap_or_else(|| Family {
        id: code.family.clone(),
        authorization: authorization.clone(),
        created: code.created,
        expires: ends,
        revoked: false,
        refresh: None,
    });
    let family = Family { refresh: lineage, authorization: authorization.clone(), ..family };
    let (created, nonce) = (code.created, code.nonce.clone());
    // It stays as long as there is something that its reuse would end.
    let spent = Code { spent: true, forget: ends, ..code };
    Ok(Issue {
        sid: authorization.sid.clone(),
        scope: authorization.scope.clone(),
        since: created,
        refresh: refresh.map(|token| token.write(op)),
        nonce,
        resources,
        authorization_details,
        confirmation: asked.confirmation.clone(),
        changes: vec![put(&spent, Expect::Version(version))?, put(&family, expect)?],
        family: Some(Descent { id: family.id, ends }),
        authorization,
    })
}

/// The family that was founded beside the code, for its access token in the front channel.
async fn founded(op: &Op, code: &Code, now: Timestamp) -> Result<Option<Stored<Family>>> {
    if !code.founded {
        return Ok(None);
    }
    match record::get::<Family>(op.store(), code.family.clone(), now).await? {
        Some(family) if !family.dead => Ok(Some(family)),
        _ => Err(invalid_grant("The authorization is no longer valid")),
    }
}

/// `offline_access`, or a client that registered for refresh tokens (then they end with the session).
fn gets_refresh_token(client: &Client, authorization: &Authorization) -> bool {
    authorization.offline || client.may_use_grant("refresh_token")
}
