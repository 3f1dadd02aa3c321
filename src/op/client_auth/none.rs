//! `none`: a public client only says who it is (RFC 6749 §3.2.1). What stands in for a secret is PKCE, which its
//! grant insists on.

use super::{ClientAuth, Credentials};
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::client::Client;
use async_trait::async_trait;
use http::header::AUTHORIZATION;

pub struct None;

#[async_trait]
impl ClientAuth for None {
    fn name(&self) -> &'static str {
        "none"
    }
    fn spec(&self) -> &'static str {
        "https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication"
    }

    fn is_bare(&self) -> bool {
        true
    }

    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>> {
        let params = presented.params;
        let otherwise = presented.headers.contains_key(AUTHORIZATION)
            || params.one("client_secret").is_some()
            || params.one("client_assertion").is_some();
        Ok(params.one("client_id").filter(|_| !otherwise).map(str::to_owned))
    }

    async fn prove(&self, _op: &Op, _client: &Client, _presented: &Credentials<'_>) -> Result<()> {
        // There is nothing to prove; that the client is registered for this was checked.
        Ok(())
    }
}
