//! `redirect_uri`: exactly one that was registered, text for text (OpenID Connect Core §3.1.2.1, RFC 9700 §4.1.3).

use super::Params;
use crate::base::uri::same_redirect;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;

pub(super) fn check(client: &Client, params: &Params) -> Result<String> {
    // OpenID Connect Core §3.1.2.1: required, even where only one is registered.
    let asked = params.required("redirect_uri")?;
    // RFC 8252 §7.3: the port of a loopback URI is a native client's to choose.
    let native = client.metadata.application_type == "native";
    let registered = client.metadata.redirect_uris.iter();
    if registered.into_iter().any(|known| same_redirect(known, asked, native)) {
        Ok(asked.to_owned())
    } else {
        Err(invalid_request("The redirect_uri is not registered for this client"))
    }
}
