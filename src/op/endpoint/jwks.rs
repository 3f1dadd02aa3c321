//! The provider's public keys (RFC 7517 §5, OpenID Connect Discovery §3).

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::op::error::Result;
use crate::op::{Op, serve};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};

pub struct Jwks;

/// How long others may keep the set, in seconds; never longer than a key is published before it signs.
const MAX_AGE: u64 = 3_600;

#[async_trait]
impl Endpoint for Jwks {
    fn name(&self) -> &'static str {
        "jwks"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc7517#section-5"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Json
    }
    fn cors(&self) -> Cors {
        Cors::AnyOrigin
    }

    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        metadata.insert("jwks_uri".into(), json!(serve::address(op, self)));
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let ring = op.ring();
        let (jwks, tag) = (ring.jwks().clone(), ring.jwks_tag());
        // RFC 9110 §13.1.2.
        let known = call.request.headers().get_all(header::IF_NONE_MATCH).iter();
        let unchanged = known.filter_map(|value| value.to_str().ok()).any(|value| value.contains(tag));
        let mut response = Response::new(if unchanged { Bytes::new() } else { jwks });
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            serve::set(&mut response, header::CONTENT_TYPE, "application/json");
        }
        serve::set(&mut response, header::ETAG, tag);
        let max_age = MAX_AGE.min(op.settings.keys.publish_ahead.0.as_secs());
        serve::set(&mut response, header::CACHE_CONTROL, &format!("public, max-age={max_age}"));
        Ok(response)
    }
}
