//! Pushed authorization requests (RFC 9126): a client sends what it will ask for before it sends the browser.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::op::binding::{self, Proved, dpop};
use crate::op::client_auth::authenticate;
use crate::op::error::{Code, Error, Result};
use crate::op::record::pushed::Pushed;
use crate::op::request;
use crate::op::request::params::Params;
use crate::op::throttle::Counter;
use crate::op::{Op, serve};
use crate::store::record::put;
use crate::store::{Durability, Expect};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

pub struct PushedRequests;

#[async_trait]
impl Endpoint for PushedRequests {
    fn name(&self) -> &'static str {
        "par"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc9126#section-2"
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
        let address = json!(serve::address(op, self));
        metadata.insert("pushed_authorization_request_endpoint".into(), address);
        metadata.insert("require_pushed_authorization_requests".into(), op.settings.par.required.into());
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let params = Params::from_body(call.request, &op.settings.limits)?;
        let client = authenticate(op, &call, &params).await?;
        // Anybody can be a public client: nobody fills the store.
        let begun = Counter::interactions(&op.settings.throttle, call.peer.address);
        op.shared.throttle.spend(&begun, call.now)?;
        let proved = dpop::of_request(op, &call).await?;
        let params = request::push(op, client.client(), &params, call.now).await?;
        let params = announcing(params, proved.as_ref())?;
        let handle = op.random().token()?;
        let lifetime = op.settings.par.lifetime;
        let usable_until = call.now.plus(lifetime.0);
        let pushed = Pushed {
            digest: Pushed::digest_of(&handle),
            client_id: client.client().client_id.clone(),
            params,
            usable_until,
            forget: usable_until.plus(op.settings.lifetimes.interaction.0),
        };
        // A crash costs the client a second try.
        let change = put(&pushed, Expect::Absent)?;
        op.store().commit(vec![change], Durability::Soon, call.now).await?;
        let body = json!({ "request_uri": Pushed::uri_of(&handle), "expires_in": lifetime.0.as_secs() });
        let mut response = serve::json(StatusCode::CREATED, &body);
        binding::offer(op, &mut response, proved.as_ref(), call.now);
        Ok(response)
    }
}

/// RFC 9449 §10.1: a proof announces its key as `dpop_jkt` does, and both must name the same.
fn announcing(params: Params, proved: Option<&Proved>) -> Result<Params> {
    match (proved, params.one("dpop_jkt")) {
        (None, _) => Ok(params),
        (Some(proved), None) => Ok(params.with("dpop_jkt", &proved.jkt)),
        (Some(proved), Some(named)) if named == proved.jkt => Ok(params),
        (Some(_), Some(_)) => {
            Err(Error::new(Code::InvalidDpopProof, "The proof and the dpop_jkt are of different keys"))
        }
    }
}
