//! The answer as a JWT in the one parameter `response` (JWT Secured Authorization Response Mode for OAuth 2.0, JARM):
//! signed, and encrypted if the client registered that. What carries it is a mode of its own.

use super::{Answer, Pairs, ResponseMode, form_post, fragment, query};
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::endpoint::Call;
use crate::op::error::{Result, server_error};
use crate::op::record::client::Client;
use crate::op::request::ReturnAddress;
use crate::op::seal::Seal;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// JARM §2.1: at most ten minutes are recommended; a browser brings it at once.
const LIFETIME: Duration = Duration::from_secs(300);

/// A row for each mode that can carry it.
pub struct Jwt {
    name: &'static str,
    carrier: &'static dyn ResponseMode,
}

pub const QUERY: Jwt = Jwt { name: "query.jwt", carrier: &query::Query };
pub const FRAGMENT: Jwt = Jwt { name: "fragment.jwt", carrier: &fragment::Fragment };
pub const FORM_POST: Jwt = Jwt { name: "form_post.jwt", carrier: &form_post::FormPost };
/// Short for the one that suits the response type.
pub const SHORT: Jwt = Jwt { name: "jwt", carrier: &fragment::Fragment };

impl ResponseMode for Jwt {
    fn name(&self) -> &'static str {
        self.name
    }
    fn spec(&self) -> &'static str {
        "JARM §2.3"
    }
    fn redirects(&self) -> bool {
        self.carrier.redirects()
    }
    fn hides_from_servers(&self, client: &Client) -> bool {
        // JARM §2.3.1: what is encrypted shows nothing wherever it stands.
        self.carrier.hides_from_servers(client) || Seal::of_authorization(&client.metadata).alg.is_some()
    }
    fn is_secured(&self) -> bool {
        true
    }
    fn expanded(&self, front_channel: bool) -> Option<&'static dyn ResponseMode> {
        match (self.name == SHORT.name, front_channel) {
            (false, _) => None,
            (true, true) => Some(&FRAGMENT),
            (true, false) => Some(&QUERY),
        }
    }
    fn respond(&self, op: &Op, call: &Call<'_>, to: &ReturnAddress, params: Pairs<'_>) -> Answer {
        self.carrier.respond(op, call, to, params)
    }
}

/// JARM §2.1: `params` as claims, with the issuer, the client and an end.
///
/// # Errors
/// The client asked for encryption and has no key: it is told nothing.
pub(super) async fn secured(op: &Op, client: &Client, params: Pairs<'_>, now: Timestamp) -> Result<String> {
    let mut claims: Map<String, Value> =
        params.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    for (name, value) in [
        ("iss", json!(op.settings.issuer)),
        ("aud", json!(client.client_id)),
        ("exp", json!(now.plus(LIFETIME))),
    ] {
        claims.insert(name.to_owned(), value);
    }
    let claims = serde_json::to_vec(&claims).map_err(server_error)?;
    op.sealed(client, Seal::of_authorization(&client.metadata), "JWT", &claims).await
}
