//! Where the parameters of a request come from: what the browser brought, a request object (OpenID Connect Core §6,
//! RFC 9101), or a request that its client pushed before (RFC 9126).

use super::object::{self, Opened};
use super::params::Params;
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::record::pushed::Pushed;
use crate::op::response_type::find;
use crate::store::record;
use std::borrow::Cow;

/// The parameters that count.
pub(super) struct Source<'a> {
    pub params: Cow<'a, Params>,
    /// The pushed request they were, by its digest.
    pub pushed: Option<String>,
}

/// For a request that a browser brings.
pub(super) async fn of_browser<'a>(
    op: &Op,
    client: &Client,
    outside: &'a Params,
    now: Timestamp,
) -> Result<Source<'a>> {
    let by_value = outside.one("request");
    let by_reference = outside.one("request_uri");
    if by_value.is_some() && by_reference.is_some() {
        // RFC 9101 §5.
        return Err(invalid_request("The request is given both by value and by reference"));
    }
    if let Some(handle) = by_reference.and_then(Pushed::handle_of) {
        return pushed(op, client, handle, now).await;
    }
    // RFC 9126 §5, §6.
    if op.settings.par.required || client.metadata.require_pushed_authorization_requests {
        return Err(invalid_request("The client must push its requests (RFC 9126)"));
    }
    let text = match (by_value, by_reference) {
        (Some(text), _) => Cow::Borrowed(text),
        (None, Some(uri)) => Cow::Owned(object::reference::fetch(op, client, uri).await?),
        (None, None) => {
            must_not_be_signed(op, client)?;
            return Ok(Source { params: Cow::Borrowed(outside), pushed: None });
        }
    };
    let opened = object::open(op, client, &text, now).await?;
    let params = if merges(op, client, &opened, outside) {
        merged(opened.params, outside)?
    } else {
        only_inside(client, opened.params)?
    };
    Ok(Source { params: Cow::Owned(params), pushed: None })
}

/// For a request that its client pushes: by value it may be a request object, and then only what is inside counts
/// (RFC 9126 §3).
pub(super) async fn of_client(op: &Op, client: &Client, outside: &Params, now: Timestamp) -> Result<Params> {
    if outside.one("request_uri").is_some() {
        // RFC 9126 §2.1.
        return Err(invalid_request("A pushed request must not have a request_uri"));
    }
    let params = match outside.one("request") {
        Some(text) => object::open(op, client, text, now).await?.params,
        None => {
            must_not_be_signed(op, client)?;
            // What authenticated the client is no part of the request.
            outside.without(|name| name.starts_with("client_assertion") || name == "client_secret")
        }
    };
    only_inside(client, params)
}

/// RFC 9101 §10.5.
fn must_not_be_signed(op: &Op, client: &Client) -> Result<()> {
    match object::must_be_signed(op, client) {
        true => Err(invalid_request("The client must send signed request objects (RFC 9101)")),
        false => Ok(()),
    }
}

/// Whether what stands outside completes what is inside: in OpenID Connect (Core §6.1, which asks for `response_type` and
/// the scope `openid` outside), not under RFC 9101 (§6.3).
fn merges(op: &Op, client: &Client, opened: &Opened, outside: &Params) -> bool {
    let openid = outside.one("scope").is_some_and(|scope| scope.split(' ').any(|scope| scope == "openid"));
    !opened.jar && openid && outside.one("response_type").is_some() && !object::must_be_signed(op, client)
}

fn merged(inside: Params, outside: &Params) -> Result<Params> {
    // OpenID Connect Core §6.1: these two must be the same on both sides.
    let kinds = [inside.one("response_type"), outside.one("response_type")];
    let same = kinds[0] == kinds[1]
        || kinds[0].and_then(find).is_some_and(|kind| kinds[1].and_then(find) == Some(kind));
    if inside.one("response_type").is_some() && !same {
        return Err(object::invalid("The response_type of the request object is another one"));
    }
    if inside.one("client_id").is_some_and(|inside| Some(inside) != outside.one("client_id")) {
        return Err(another_client());
    }
    Ok(inside.over(&outside.without(|name| matches!(name, "request" | "request_uri"))))
}

/// RFC 9101 §5, §6.3: the `client_id` is the same on both sides, and nothing else of the outside is looked at.
fn only_inside(client: &Client, inside: Params) -> Result<Params> {
    match inside.one("client_id") {
        Some(id) if id == client.client_id => Ok(inside),
        Some(_) => Err(another_client()),
        None => Ok(inside.with("client_id", &client.client_id)),
    }
}

fn another_client() -> Error {
    object::invalid("The client_id of the request object is another one")
}

/// RFC 9126 §4: what was pushed, and nothing that stands beside its reference.
async fn pushed(op: &Op, client: &Client, handle: &str, now: Timestamp) -> Result<Source<'static>> {
    let found = record::get::<Pushed>(op.store(), Pushed::digest_of(handle), now).await?;
    let pushed = found.map(|found| found.record);
    // The same words for all: whose it is is nobody's business.
    let pushed = pushed.filter(|pushed| pushed.client_id == client.client_id && now < pushed.usable_until);
    let pushed = pushed.ok_or_else(used_up)?;
    Ok(Source { params: Cow::Owned(pushed.params), pushed: Some(pushed.digest) })
}

/// A reference that stands for nothing (any more).
pub(in crate::op) fn used_up() -> Error {
    let says = "The pushed request has expired, was used, or is not the client's";
    Error::new(Code::InvalidRequestUri, says)
}
