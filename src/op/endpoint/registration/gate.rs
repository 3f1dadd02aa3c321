//! Who may register: anybody, whoever brings an initial access token (RFC 7591 §3, §1.2), or nobody.

use super::super::Call;
use super::digest;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::client::{Limits, Metadata};
use crate::op::record::initial_access::InitialAccess;
use crate::op::settings::Registration as Mode;
use crate::store::record::{Stored, delete, get, put};
use crate::store::{Change, Expect};
use http::header;

/// What lets a client in.
pub(super) enum Pass {
    Open,
    Token(Box<Stored<InitialAccess>>),
}

/// # Errors
/// `access_denied` where registration is closed, `invalid_token` where the token is missing or not good.
pub(super) async fn admit(op: &Op, call: &Call<'_>) -> Result<Pass> {
    match op.settings.registration {
        // RFC 7591 §3: where registration is open a token is not needed, and decides nothing.
        Mode::Open => Ok(Pass::Open),
        Mode::Closed => {
            Err(Error::new(Code::AccessDenied, "Registration is closed: ask the operator for a client"))
        }
        Mode::InitialAccessToken => {
            let refused = || Error::new(Code::InvalidToken, "Registration needs an initial access token");
            let token = bearer(call).ok_or_else(refused)?;
            let stored = get::<InitialAccess>(op.store(), digest(token), call.now).await?;
            Ok(Pass::Token(Box::new(stored.ok_or_else(refused)?)))
        }
    }
}

/// The one bearer token of a request.
pub(super) fn bearer<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    let mut headers = call.request.headers().get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (headers.next(), headers.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Pass {
    /// What a client that it lets in may register.
    pub(super) fn limits(&self) -> Option<Limits> {
        let Pass::Token(token) = self else { return None };
        let InitialAccess { redirect_hosts, scopes, .. } = token.record.clone();
        (!redirect_hosts.is_empty() || !scopes.is_empty()).then_some(Limits { redirect_hosts, scopes })
    }

    /// Counts the use, in the commit that makes the client: of many at once no more pass than the token is good for.
    pub(super) fn spend(&self) -> Result<Vec<Change>> {
        let Pass::Token(stored) = self else { return Ok(Vec::new()) };
        let Stored { record: token, version, .. } = stored.as_ref();
        let expect = Expect::Version(*version);
        let left = token.uses.map(|uses| uses.saturating_sub(1));
        if left == Some(0) {
            return Ok(vec![delete::<InitialAccess>(token.digest.clone(), expect)]);
        }
        let used = token.used.saturating_add(1);
        Ok(vec![put(&InitialAccess { uses: left, used, ..token.clone() }, expect)?])
    }
}

/// Whether a client under `limits` may have this metadata: when it is registered, and with each update (RFC 7592 §2.2),
/// or a first registration would be a way around them.
pub(super) fn allow(limits: Option<&Limits>, metadata: &Metadata) -> Result<()> {
    let Some(limits) = limits else { return Ok(()) };
    let host_fits = |uri: &String| {
        super::metadata::sector_host(uri).is_some_and(|host| limits.redirect_hosts.contains(&host))
    };
    if !limits.redirect_hosts.is_empty() && !metadata.redirect_uris.iter().all(host_fits) {
        let says = "The initial access token is for other redirect URIs";
        return Err(Error::new(Code::InvalidRedirectUri, says));
    }
    if limits.scopes.is_empty() {
        return Ok(());
    }
    // A client without registered scopes may ask for any.
    let Some(scope) = &metadata.scope else {
        return Err(invalid_request("The initial access token needs a scope to be registered"));
    };
    match scope.split(' ').all(|scope| limits.scopes.iter().any(|allowed| allowed == scope)) {
        true => Ok(()),
        false => {
            Err(Error::new(Code::InvalidClientMetadata, "scope: more than the initial access token is for"))
        }
    }
}

#[cfg(test)]
mod tests;
