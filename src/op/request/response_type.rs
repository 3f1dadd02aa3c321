//! `response_type` (RFC 6749 §3.1.1): one that is offered here, and that the client registered.

use super::Params;
use crate::op::Op;
use crate::op::error::{Code, Error, Result};
use crate::op::record::client::Client;
use crate::op::response_type::{ResponseType, find, is_offered};

pub(super) fn check(op: &Op, client: &Client, params: &Params) -> Result<&'static ResponseType> {
    let asked = params.required("response_type")?;
    let kind = find(asked)
        .filter(|kind| is_offered(&op.settings, kind))
        .ok_or_else(|| Error::new(Code::UnsupportedResponseType, "This response_type is not offered here"))?;
    tracing::trace!(response_type = kind.name, spec = kind.spec, "an authorization is asked for");
    if !client.metadata.response_types.iter().any(|registered| find(registered) == Some(kind)) {
        let says = "The client did not register this response_type";
        return Err(Error::new(Code::UnauthorizedClient, says));
    }
    let metadata = &client.metadata;
    if kind.token
        && (metadata.dpop_bound_access_tokens || metadata.tls_client_certificate_bound_access_tokens)
    {
        // RFC 9449 §5.2, RFC 8705 §3.4: only bound tokens, and nobody proves a key in the front channel.
        let says = "The client registered for bound access tokens, and those of the front channel are not";
        return Err(Error::new(Code::UnauthorizedClient, says));
    }
    Ok(kind)
}
