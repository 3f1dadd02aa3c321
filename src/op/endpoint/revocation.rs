//! Token revocation (RFC 7009). When it is answered, the token is dead everywhere: here, at the edge, on live streams.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::op::client_auth::authenticate;
use crate::op::error::{Result, invalid_grant};
use crate::op::request::params::Params;
use crate::op::token::revoke::{self, Revoked};
use crate::op::{Op, serve};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Map, Value, json};

pub struct Revocation;

#[async_trait]
impl Endpoint for Revocation {
    fn name(&self) -> &'static str {
        "revocation"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc7009#section-2"
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
        metadata.insert("revocation_endpoint".into(), json!(serve::address(op, self)));
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let params = Params::from_body(call.request, &op.settings.limits)?;
        let client = authenticate(op, &call, &params).await?;
        let token = params.required("token")?;
        // §2.1: a wrong hint must not matter, so it is not read. §2.2: an unknown token is as good as revoked. A store
        // that fails is 503 (§2.2.1), never 200.
        match revoke::token(op, token, &client.client().client_id, call.now).await? {
            Revoked::Done => Ok(Response::new(Bytes::new())),
            Revoked::NotTheirs => Err(invalid_grant("The token was issued to another client")),
        }
    }
}
