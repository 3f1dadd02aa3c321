//! Request objects by reference (OpenID Connect Core §6.2, RFC 9101 §5.2): fetched from where the client registered
//! that they lie, and from nowhere else. Not kept: an address whose content changes is asked each time.

use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::secret::sha256;
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::record::client::Client;
use crate::op::request::object::TYP;
use http::StatusCode;

/// RFC 9101 §5.2: 512 characters are what one may count on; some take more.
const MAX_URI: usize = 2_048;
/// What is fetched, in bytes.
const MAX: usize = 64 << 10;

/// The request object at `uri`.
///
/// # Errors
/// `request_uri_not_supported`, `invalid_request_uri`: it is not registered, or not there, or not what was announced.
pub(in crate::op::request) async fn fetch(op: &Op, client: &Client, uri: &str) -> Result<String> {
    if !op.settings.request_object.by_reference {
        let says = "Request objects by reference are not supported";
        return Err(Error::new(Code::RequestUriNotSupported, says));
    }
    if uri.len() > MAX_URI {
        return Err(invalid_request("The parameter request_uri is too long"));
    }
    let (address, asked) = split(uri);
    let registered = client.metadata.request_uris.iter().map(|known| split(known));
    let known: Vec<_> = registered.filter(|(known, _)| *known == address).collect();
    if known.is_empty() {
        return Err(invalid("The request_uri is not registered for this client"));
    }
    let accept = format!("application/{TYP}, application/jwt");
    let fetched = op.shared.kit.fetch.get(address, &accept, MAX).await;
    let fetched = fetched.map_err(|fault| invalid("The request_uri cannot be fetched").because(fault))?;
    if fetched.status != StatusCode::OK {
        return Err(invalid("The request_uri cannot be fetched").because(fetched.status));
    }
    // OpenID Connect Core §6.2: the digest of the content stands in the fragment, if the client put one there. A new
    // one announces a new content; without one, what was registered holds.
    let digest = base64url(&sha256(&fetched.body));
    let digests = |fragments: &mut dyn Iterator<Item = Option<&str>>| -> Vec<String> {
        fragments.flatten().filter(|fragment| is_digest(fragment)).map(str::to_owned).collect()
    };
    let mut announced = digests(&mut std::iter::once(asked));
    if announced.is_empty() {
        announced = digests(&mut known.iter().map(|(_, fragment)| *fragment));
    }
    if !announced.is_empty() && !announced.contains(&digest) {
        return Err(invalid("The content of the request_uri is not what its fragment announces"));
    }
    let text = std::str::from_utf8(&fetched.body).map(str::trim).ok();
    text.map(str::to_owned).ok_or_else(|| invalid("The content of the request_uri is not a request object"))
}

/// The address, and the fragment if there is one.
fn split(uri: &str) -> (&str, Option<&str>) {
    uri.split_once('#').map_or((uri, None), |(address, fragment)| (address, Some(fragment)))
}

fn is_digest(fragment: &str) -> bool {
    from_base64url_exact::<32>(fragment).is_some()
}

fn invalid(says: &'static str) -> Error {
    Error::new(Code::InvalidRequestUri, says)
}
