//! `…/start/CLIENT`: a sign-in that begins here and not at the client (OpenID Connect Core §4). The browser is sent to
//! the client's registered `initiate_login_uri`; the client then begins an ordinary authorization request. For links in
//! portals and mails.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::uri;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::client::Metadata;
use crate::op::request::params::Params;
use crate::op::response_mode::append_query;
use crate::op::serve::see_other;
use crate::op::token::parents::Marked;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response};

pub struct Start;

const MAX_LOGIN_HINT: usize = 256;

#[async_trait]
impl Endpoint for Start {
    fn name(&self) -> &'static str {
        "start"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Core §4"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Page
    }
    fn cors(&self) -> Cors {
        Cors::Never
    }
    fn takes_rest(&self) -> bool {
        true
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let nobody = || Error::new(Code::NotFound, "There is no client whose sign-in could begin here");
        let client_id = call.rest.strip_prefix('/').ok_or_else(nobody)?;
        let client = op.client(client_id, call.now).await?.ok_or_else(nobody)?;
        if Marked::client(op, client_id, call.now).await?.disabled() {
            return Err(nobody());
        }
        let to = client.metadata.initiate_login_uri.as_deref().ok_or_else(nobody)?;
        let params = Params::from_query(call.request, &op.settings.limits)?;
        let mut pairs = vec![("iss", op.settings.issuer.as_str())];
        if let Some(hint) = params.one("login_hint") {
            if hint.len() > MAX_LOGIN_HINT || hint.chars().any(char::is_control) {
                return Err(invalid_request("The login_hint is too long"));
            }
            pairs.push(("login_hint", hint));
        }
        if let Some(target) = params.one("target_link_uri") {
            // OpenID Connect Core §4: the client must check it; nothing foreign reaches it from here at all.
            if !is_theirs(&client.metadata, target) {
                return Err(invalid_request("The target_link_uri is not an address of the client"));
            }
            pairs.push(("target_link_uri", target));
        }
        see_other(&append_query(to, &pairs))
    }
}

/// Whether `target` is on an origin that the client registered addresses of.
fn is_theirs(metadata: &Metadata, target: &str) -> bool {
    let known = metadata.redirect_uris.iter().chain(&metadata.initiate_login_uri).chain(&metadata.client_uri);
    let origin = uri::origin(target).filter(|_| uri::is_https_url(target));
    origin.is_some_and(|origin| known.into_iter().any(|known| uri::origin(known).as_ref() == Some(&origin)))
}

#[cfg(test)]
mod tests {
    use crate::op::fixture::{header, send};
    use crate::op::token::revoke;
    use crate::op::{Op, walk};
    use serde_json::json;

    async fn world() -> Op {
        let op = walk::op("{}").await;
        walk::client(&op, "shop", json!({ "initiate_login_uri": "https://shop.example/start?a=b" })).await;
        op
    }

    /// OpenID Connect Core §4.
    #[tokio::test]
    async fn a_sign_in_begins_at_the_registered_address() {
        let op = world().await;
        let plain = send(&op, "GET", "/oidcop/start/shop", &[]).await;
        assert_eq!(plain.status(), 303);
        assert_eq!(header(&plain, "location"), "https://shop.example/start?a=b&iss=https%3A%2F%2Fop.example");
        let path =
            "/oidcop/start/shop?login_hint=ann%26x&target_link_uri=https%3A%2F%2Frp.example%2Fcart%3Fid%3D1";
        let all = send(&op, "GET", path, &[]).await;
        let url = url::Url::parse(header(&all, "location")).unwrap();
        let pairs: Vec<_> = url.query_pairs().skip(2).collect();
        assert_eq!(pairs[0], ("login_hint".into(), "ann&x".into()));
        assert_eq!(pairs[1], ("target_link_uri".into(), "https://rp.example/cart?id=1".into()));
    }

    /// ATTACKS 3.
    #[tokio::test]
    async fn nobody_is_sent_to_what_the_client_did_not_register() {
        let op = world().await;
        for path in [
            "/oidcop/start",
            "/oidcop/start/",
            "/oidcop/start/nobody",
            "/oidcop/start/web",
            "/oidcop/start/shop/x",
        ] {
            assert_eq!(send(&op, "GET", path, &[]).await.status(), 404, "{path}");
        }
        for target in [
            "https://evil.example/",
            "https://shop.example@evil.example/",
            "javascript:alert(1)",
            "/x",
            "//evil.example",
            "http://shop.example/",
        ] {
            let target: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
            let refused =
                send(&op, "GET", &format!("/oidcop/start/shop?target_link_uri={target}"), &[]).await;
            assert_eq!((refused.status().as_u16(), header(&refused, "location")), (400, ""), "{target}");
        }
        revoke::client(&op, "shop", true).await.unwrap();
        assert_eq!(send(&op, "GET", "/oidcop/start/shop", &[]).await.status(), 404);
    }
}
