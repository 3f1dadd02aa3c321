//! The token endpoint (RFC 6749 §3.2, OpenID Connect Core §3.1.3): asked, decided by a grant, minted.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::op::binding::{self, dpop};
use crate::op::client_auth::authenticate;
use crate::op::error::{Code, Error, Result, unavailable};
use crate::op::grant::{Asked, GRANTS, Grant};
use crate::op::request::params::Params;
use crate::op::token::mint::{Failure, TokenAnswer, mint};
use crate::op::{Op, serve};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

pub struct Token;

/// How often a grant is proven again because something changed before its issue was committed.
const ATTEMPTS: usize = 8;

#[async_trait]
impl Endpoint for Token {
    fn name(&self) -> &'static str {
        "token"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc6749#section-3.2"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::POST]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Json
    }
    fn cors(&self) -> Cors {
        Cors::AnyOrigin
    }

    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        metadata.insert("token_endpoint".into(), json!(serve::address(op, self)));
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let params = Params::from_body(call.request, &op.settings.limits)?;
        let client = authenticate(op, &call, &params).await?;
        let grant = grant(op, params.required("grant_type")?)?;
        if !grant.allows(client.client()) {
            return Err(Error::new(Code::UnauthorizedClient, "The client may not use this grant type"));
        }
        let proved = dpop::of_request(op, &call).await?;
        let confirmation = binding::confirmation(client.client(), &call, proved.as_ref())?;
        let asked = Asked { client: &client, params: &params, confirmation: &confirmation, now: call.now };
        for _ in 0..ATTEMPTS {
            let issue = grant.prove(op, &asked).await?;
            match mint(op, &client, issue, call.now).await {
                Ok(answer) => {
                    tracing::debug!(
                        request_id = %call.peer.request_id,
                        client_id = %client.client().client_id,
                        method = client.method(),
                        grant = grant.name(),
                        spec = grant.spec(),
                        "tokens were issued"
                    );
                    let mut response = serve::json(StatusCode::OK, &body(&answer, grant.issued_token_type()));
                    binding::offer(op, &mut response, proved.as_ref(), call.now);
                    return Ok(response);
                }
                Err(Failure::Again) => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Err(unavailable("what the grant rests on keeps changing"))
    }
}

fn grant(op: &Op, name: &str) -> Result<&'static dyn Grant> {
    let grant = GRANTS.iter().copied().find(|grant| grant.name() == name && grant.is_enabled(&op.settings));
    grant.ok_or_else(|| Error::new(Code::UnsupportedGrantType, "The grant type is not supported"))
}

/// RFC 6749 §5.1.
fn body(answer: &TokenAnswer, issued_token_type: Option<&str>) -> Value {
    let mut body = json!({
        "access_token": answer.access_token,
        "token_type": answer.token_type,
        "expires_in": answer.expires_in,
        "scope": answer.scope,
    });
    // RFC 9396 §7: what was granted, if something was.
    let details = Some(&answer.authorization_details).filter(|details| !details.is_empty());
    for (name, value) in [
        ("refresh_token", answer.refresh_token.as_ref().map(|token| json!(token))),
        ("id_token", answer.id_token.as_ref().map(|token| json!(token))),
        ("issued_token_type", issued_token_type.map(|kind| json!(kind))),
        ("authorization_details", details.map(|details| json!(details))),
    ] {
        if let (Some(body), Some(value)) = (body.as_object_mut(), value) {
            body.insert(name.to_owned(), value);
        }
    }
    body
}
