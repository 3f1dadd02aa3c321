//! How an authorization response travels: one file per mode, one row each
//! (OAuth 2.0 Multiple Response Type Encoding Practices §2.1, OAuth 2.0 Form Post Response Mode, JARM).

mod form_post;
mod fragment;
mod jwt;
mod query;

use super::Op;
use super::endpoint::Call;
use super::error::{Error, Result};
use super::record::client::Client;
use super::request::ReturnAddress;
use bytes::Bytes;
use http::Response;

/// Names and values of an authorization response.
pub type Pairs<'a> = &'a [(&'a str, &'a str)];

type Answer = Result<Response<Bytes>>;

/// A row of [`MODES`].
pub trait ResponseMode: Sync + Send {
    /// The `response_mode`.
    fn name(&self) -> &'static str;
    /// The section that defines it.
    fn spec(&self) -> &'static str;
    /// Where a form that leads to the response must be allowed to end (CSP `form-action`): the client, if the browser
    /// is redirected there; `None` if a page of ours comes between.
    fn redirects(&self) -> bool;
    /// Whether tokens for `client` may travel so: they do not show in any server's log or `Referer`.
    fn hides_from_servers(&self, client: &Client) -> bool;
    /// Whether the answer is one JWT (JARM), which says `iss` itself (RFC 9207 §2.4).
    fn is_secured(&self) -> bool {
        false
    }
    /// The row it is short for, if it is.
    fn expanded(&self, _front_channel: bool) -> Option<&'static dyn ResponseMode> {
        None
    }
    /// Sends `params` to where the client asked for them.
    fn respond(&self, op: &Op, call: &Call<'_>, to: &ReturnAddress, params: Pairs<'_>) -> Answer;
}

pub const MODES: &[&dyn ResponseMode] = &[
    &query::Query,
    &fragment::Fragment,
    &form_post::FormPost,
    &jwt::QUERY,
    &jwt::FRAGMENT,
    &jwt::FORM_POST,
    &jwt::SHORT,
];

/// For a response type that does, or does not, put tokens into the front channel (OAuth 2.0 Multiple Response Type
/// Encoding Practices §2.1, §5).
pub fn default(front_channel: bool) -> &'static dyn ResponseMode {
    if front_channel { &fragment::Fragment } else { &query::Query }
}

pub fn find(name: &str) -> Option<&'static dyn ResponseMode> {
    MODES.iter().copied().find(|mode| mode.name() == name)
}

/// Answers the client: `params`, its `state` if it sent one, and `iss` (RFC 9207 §2).
///
/// # Errors
/// The answer must be encrypted and cannot be.
pub async fn respond(
    op: &Op,
    call: &Call<'_>,
    client: &Client,
    to: &ReturnAddress,
    params: Pairs<'_>,
) -> Answer {
    let mut all = params.to_vec();
    all.extend(to.state().map(|state| ("state", state)));
    // One that is no more: what fits everything.
    let mode = to.mode().unwrap_or_else(|| default(true));
    tracing::trace!(
        client = client.client_id,
        mode = mode.name(),
        spec = mode.spec(),
        "an authorization is answered"
    );
    if mode.is_secured() {
        let response = jwt::secured(op, client, &all, call.now).await?;
        return mode.respond(op, call, to, &[("response", &response)]);
    }
    all.push(("iss", op.settings.issuer.as_str()));
    mode.respond(op, call, to, &all)
}

/// RFC 6749 §4.1.2.1.
pub async fn refuse(
    op: &Op,
    call: &Call<'_>,
    client: &Client,
    to: &ReturnAddress,
    error: &Error,
) -> Result<Response<Bytes>> {
    tracing::debug!(
        request_id = %call.peer.request_id,
        code = error.code.wire(),
        says = %error.says,
        cause = ?error.cause,
        "an authorization ends in an error"
    );
    let description = error.description();
    let params = [("error", error.code.wire()), ("error_description", description.as_str())];
    respond(op, call, client, to, &params).await
}

/// `params` as a form (RFC 6749 Appendix B).
fn encoded(params: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// `uri` with `params` behind its own query.
pub fn append_query(uri: &str, params: &[(&str, &str)]) -> String {
    let mut text = uri.to_owned();
    let before = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    let query = encoded(params);
    if !query.is_empty() {
        text.push_str(before);
        text.push_str(&query);
    }
    text
}
