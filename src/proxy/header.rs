//! Header hygiene: what a caller could have forged never reaches an upstream, in no spelling; what says who calls is
//! ours, from the [`Permit`]. It runs after pingora has removed what `Connection` names, so that nobody can make it
//! remove ours. RFC 9110 §7.6.1, RFC 9113 §8.2.3, RFC 7239.

use super::identity::{Caller, Told};
use super::policy::Permit;
use super::settings::Identity;
use crate::op::DPOP;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use std::borrow::Cow;
use std::net::IpAddr;

/// The names under which an upstream learns who calls.
pub(super) struct Names {
    subject: Option<HeaderName>,
    client: Option<HeaderName>,
    scope: Option<HeaderName>,
    username: Option<HeaderName>,
    /// Folded names that no caller may send: these, and what they are by default.
    reserved: Vec<String>,
}

impl Names {
    pub fn new(written: &Identity) -> Result<Names, String> {
        let name = |text: &str| -> Result<Option<HeaderName>, String> {
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(|_| format!("`{text}` is no header name"))
        };
        let mut reserved: Vec<String> = Vec::new();
        let standard = Identity::default();
        for (_, text) in written.names().into_iter().chain(standard.names()) {
            reserved.push(folded(text).into_owned());
        }
        reserved.retain(|text| !text.is_empty());
        reserved.sort_unstable();
        reserved.dedup();
        Ok(Names {
            subject: name(&written.subject)?,
            client: name(&written.client)?,
            scope: name(&written.scope)?,
            username: name(&written.username)?,
            reserved,
        })
    }

    /// The same, with more names that no caller may send.
    pub fn reserving<'a>(mut self, more: impl Iterator<Item = &'a str>) -> Names {
        self.reserved.extend(more.map(|name| folded(&name.to_ascii_lowercase()).into_owned()));
        self.reserved.sort_unstable();
        self.reserved.dedup();
        self
    }

    /// The names of what [`Names::inject`] sets.
    pub fn fixed(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.subject, &self.client, &self.scope, &self.username].into_iter().flatten()
    }

    /// Removes whatever a caller could have forged.
    fn strip(&self, headers: &mut RequestHeader) {
        let gone: Vec<HeaderName> =
            headers.headers.keys().filter(|name| self.is_forgeable(name.as_str())).cloned().collect();
        for name in gone {
            headers.remove_header(&name);
        }
    }

    fn is_forgeable(&self, name: &str) -> bool {
        // CGI and WSGI cannot tell `X_Auth_Subject` from `X-Auth-Subject`, some not even `X.Auth.Subject`.
        let name = folded(name);
        FORWARDING.contains(&name.as_ref())
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || self.reserved.iter().any(|reserved| *reserved == name)
    }

    fn inject(&self, headers: &mut RequestHeader, permit: &Permit) -> pingora::Result<()> {
        for (name, value) in self.said(permit) {
            headers.insert_header(name, value)?;
        }
        Ok(())
    }

    /// The fixed headers about a caller.
    pub fn said<'a>(&'a self, permit: &'a Permit) -> impl Iterator<Item = (HeaderName, String)> + 'a {
        permit.facts().into_iter().flat_map(|facts| {
            // RFC 9700 §4.15: a client that acts for itself must not be taken for a person.
            let subject = facts.account.as_ref().map(|_| facts.subject.as_str());
            let told = [
                (&self.subject, subject.map(visible)),
                (&self.client, Some(visible(&facts.client_id))),
                (&self.scope, Some(visible(&facts.scope.join(" ")))),
                (&self.username, facts.username.as_deref().map(visible)),
            ];
            told.into_iter().filter_map(|(name, value)| Some((name.clone()?, value?)))
        })
    }
}

/// Headers that speak for somebody in front of us, or that change what an upstream takes for the request.
const FORWARDING: &[&str] = &[
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-request-id",
    "remote-user",
    "x-remote-user",
    "client-cert",
    "client-cert-chain",
    "x-arr-clientcert",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    // CGI would take it for HTTP_PROXY ("httpoxy").
    "proxy",
];

const PREFIXES: &[&str] = &[
    "x-forwarded-",
    "x-original-",
    // What servers that end TLS say of client certificates, each in its own words.
    "x-client-cert",
    "client-certificate",
    "ssl-client-",
    "x-ssl-",
    "x-tls-client-",
    "tls-client-",
    "x-amzn-mtls-",
    "x-mtls-",
];

fn folded(name: &str) -> Cow<'_, str> {
    // Names of a parsed head are in lower case already, and few of them hold anything but letters and hyphens.
    let plain = |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.bytes().all(plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect(),
    )
}

/// A header value whatever the text: what is not visible ASCII is percent-encoded, the percent sign too.
pub(super) fn visible(text: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const HIDDEN: &AsciiSet = &CONTROLS.add(b'%');
    utf8_percent_encode(text, HIDDEN).to_string()
}

/// What the forwarded request is told besides.
pub(super) struct Forwarded<'a> {
    pub names: &'a Names,
    pub permit: &'a Permit,
    /// The caller, after trusted forwarding.
    pub client: IpAddr,
    /// What a trusted proxy had in `X-Forwarded-For`, to be continued.
    pub chain: Option<String>,
    pub authority: &'a str,
    pub request_id: &'a str,
    pub cookies: &'a [&'a str],
    pub route_headers: &'a [(HeaderName, HeaderValue)],
    pub pass_credentials: bool,
    /// Headers by template.
    pub templates: &'a [Told],
    /// The token that says who calls, in its header.
    pub token: Option<&'a (HeaderName, HeaderValue)>,
    /// The client takes trailers and the upstream speaks HTTP/2: gRPC.
    pub trailers: bool,
}

/// Makes the request that goes upstream.
pub(super) fn forward(request: &mut RequestHeader, told: &Forwarded<'_>) -> pingora::Result<()> {
    told.names.strip(request);
    own_cookies(request, told.cookies)?;
    if !told.pass_credentials {
        request.remove_header(&header::AUTHORIZATION);
        request.remove_header(&DPOP);
    }
    for (name, value) in told.route_headers {
        request.insert_header(name.clone(), value.clone())?;
    }
    told.names.inject(request, told.permit)?;
    let caller = Caller { permit: told.permit, request_id: told.request_id, address: told.client };
    for (name, template) in told.templates {
        if let Some(value) = template.render(&caller) {
            request.insert_header(name.clone(), value)?;
        }
    }
    if let Some((name, value)) = told.token {
        request.insert_header(name.clone(), value.clone())?;
    }
    let chain = match &told.chain {
        Some(chain) => chain.clone(),
        None => told.client.to_string(),
    };
    request.insert_header("X-Forwarded-For", chain)?;
    request.insert_header("X-Forwarded-Proto", "https")?;
    request.insert_header("X-Forwarded-Host", told.authority)?;
    request.insert_header("X-Request-Id", told.request_id)?;
    if told.trailers {
        // pingora's sanitiser takes it away on HTTP/2 too, where it is the one value allowed (RFC 9113 §8.2.2).
        request.insert_header(header::TE, "trailers")?;
    }
    Ok(())
}

/// Takes out of `Connection` the names whose removal pingora would refuse the request for: they are removed or set by
/// us in any case, so that naming them means nothing.
pub(super) fn tame_connection(request: &mut RequestHeader) -> pingora::Result<()> {
    let ours = |token: &str| {
        let token = folded(token.trim());
        token == "host" || token.starts_with("x-forwarded-")
    };
    let lines: Vec<&str> =
        request.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok()).collect();
    let tokens = || lines.iter().flat_map(|line| line.split(','));
    if !tokens().any(ours) {
        return Ok(());
    }
    let kept = tokens().filter(|token| !ours(token)).map(str::trim).collect::<Vec<_>>().join(", ");
    request.remove_header(&header::CONNECTION);
    if !kept.is_empty() {
        request.insert_header(header::CONNECTION, kept)?;
    }
    Ok(())
}

/// Joins what HTTP/2 splits (RFC 9113 §8.2.3) and leaves out the cookies that are ours.
fn own_cookies(request: &mut RequestHeader, ours: &[&str]) -> pingora::Result<()> {
    if !request.headers.contains_key(header::COOKIE) {
        return Ok(());
    }
    let kept = without(&request.headers, ours);
    request.remove_header(&header::COOKIE);
    if !kept.is_empty() {
        let value = HeaderValue::from_bytes(&kept).unwrap_or(HeaderValue::from_static(""));
        request.insert_header(header::COOKIE, value)?;
    }
    Ok(())
}

fn without(headers: &HeaderMap, ours: &[&str]) -> Vec<u8> {
    let mut kept = Vec::new();
    let pairs =
        headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    for pair in pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
        if !is_ours(pair, ours) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    kept
}

/// All cookies of a request as one value, for readers that look at one header only.
pub(super) fn joined_cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get_all(header::COOKIE).iter().nth(1)?;
    HeaderValue::from_bytes(&without(headers, &[])).ok()
}

/// Some frameworks unquote and trim names, and browsers match prefixes in any case: compared leniently.
fn is_ours(pair: &[u8], ours: &[&str]) -> bool {
    // A cookie without a name may have one in its value: `=__Host-x=1`.
    let start = pair.iter().position(|byte| *byte != b'=' && !byte.is_ascii_whitespace()).unwrap_or(0);
    let pair = pair.get(start..).unwrap_or_default();
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    ours.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

fn sets_ours(value: &HeaderValue, ours: &[&str]) -> bool {
    is_ours(value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default(), ours)
}

/// What an upstream may not say, and what browsers are told besides.
pub(super) fn backward(
    response: &mut ResponseHeader,
    cookies: &[&str],
    request_id: &str,
    hsts: Option<&HeaderValue>,
) -> pingora::Result<()> {
    response.remove_header(&header::SERVER);
    response.remove_header("X-Powered-By");
    if response.headers.contains_key(header::SET_COOKIE) {
        let set: Vec<HeaderValue> = response.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        if set.iter().any(|value| sets_ours(value, cookies)) {
            response.remove_header(&header::SET_COOKIE);
            for value in set.into_iter().filter(|value| !sets_ours(value, cookies)) {
                response.append_header(header::SET_COOKIE, value)?;
            }
        }
    }
    response.insert_header("X-Request-Id", request_id)?;
    if let Some(hsts) = hsts {
        response.insert_header(header::STRICT_TRANSPORT_SECURITY, hsts.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
