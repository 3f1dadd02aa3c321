//! `scope`: what is known and what the client may ask for; the rest is ignored (OpenID Connect Core §3.1.2.1). And
//! the rule for `offline_access` (OpenID Connect Core §11).

use super::Params;
use crate::op::Op;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::response_type::ResponseType;
use crate::op::settings::WithoutConsent;

const MAX: usize = 100;

pub(super) fn check(
    op: &Op,
    client: &Client,
    kind: &ResponseType,
    params: &Params,
    prompt: &[String],
) -> Result<Vec<String>> {
    let mut scope = super::words(params, "scope", MAX)?;
    scope.retain(|asked| op.may_ask(client, asked));
    // OpenID Connect Core §3.2.2.1, §3.3.2.1: without it there is no ID token.
    if kind.id_token && !scope.iter().any(|asked| asked == "openid") {
        return Err(invalid_request("This response_type needs the scope openid"));
    }
    if !kind.code {
        // OpenID Connect Core §11: it is ignored where no code comes back.
        scope.retain(|asked| asked != "offline_access");
    }
    offline(op, &mut scope, prompt)?;
    Ok(scope)
}

fn offline(op: &Op, scope: &mut Vec<String>, prompt: &[String]) -> Result<()> {
    let has = |scope: &[String], name: &str| scope.iter().any(|asked| asked == name);
    if !has(scope, "offline_access") {
        return Ok(());
    }
    if !has(scope, "openid") {
        // A scope of OpenID Connect: it says nothing in a plain OAuth request.
        scope.retain(|asked| asked != "offline_access");
        return Ok(());
    }
    if prompt.iter().any(|asked| asked == "consent") {
        return Ok(());
    }
    match op.settings.offline_access.without_consent {
        WithoutConsent::Error => Err(invalid_request("The scope offline_access needs prompt=consent")),
        WithoutConsent::Ignore => {
            scope.retain(|asked| asked != "offline_access");
            Ok(())
        }
    }
}
