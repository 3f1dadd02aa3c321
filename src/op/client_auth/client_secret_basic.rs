//! `client_secret_basic`: HTTP Basic with form-urlencoded id and secret (RFC 6749 §2.3.1). Other schemes in the
//! `Authorization` header are not client authentication.

use super::{ClientAuth, Credentials, check_secret};
use crate::base::encode::from_base64_lenient;
use crate::op::Op;
use crate::op::error::{Result, invalid_request};
use crate::op::record::client::Client;
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

pub struct ClientSecretBasic;

/// Longer headers are not looked at, in bytes.
const MAX: usize = 8 << 10;

#[async_trait]
impl ClientAuth for ClientSecretBasic {
    fn name(&self) -> &'static str {
        "client_secret_basic"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1"
    }

    fn claims(&self, presented: &Credentials<'_>) -> Result<Option<String>> {
        Ok(read(presented)?.map(|(client_id, _)| client_id))
    }

    async fn prove(&self, _op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        let secret = read(presented)?.map(|(_, secret)| secret).unwrap_or_default();
        check_secret(client, &secret, presented.now)
    }
}

fn read(presented: &Credentials<'_>) -> Result<Option<(String, String)>> {
    let mut headers = presented.headers.get_all(AUTHORIZATION).iter();
    let Some(header) = headers.next() else { return Ok(None) };
    let malformed = || invalid_request("The Authorization header is malformed");
    if headers.next().is_some() {
        return Err(malformed());
    }
    let text = header.to_str().ok().filter(|text| text.len() <= MAX).ok_or_else(malformed)?;
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Ok(None);
    }
    let bytes = from_base64_lenient(credentials.trim()).ok_or_else(malformed)?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (client_id, secret) = text.split_once(':').ok_or_else(malformed)?;
    let decoded = |part: &str| form_decoded(part).ok_or_else(malformed);
    Ok(Some((decoded(client_id)?, decoded(secret)?)))
}

/// `application/x-www-form-urlencoded` (RFC 6749 Appendix B).
fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}
