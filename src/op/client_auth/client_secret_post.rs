//! `client_secret_post`: id and secret in the body (RFC 6749 §2.3.1).

use super::{ClientAuth, Credentials, check_secret};
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::client::Client;
use async_trait::async_trait;

pub struct ClientSecretPost;

#[async_trait]
impl ClientAuth for ClientSecretPost {
    fn name(&self) -> &'static str {
        "client_secret_post"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1"
    }

    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>> {
        let params = presented.params;
        match params.one("client_secret") {
            Some(_) => params.required("client_id").map(|id| Some(id.to_owned())),
            None => Ok(None),
        }
    }

    async fn prove(&self, _op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        check_secret(client, presented.params.one("client_secret").unwrap_or(""), presented.now)
    }
}
