//! WebFinger (RFC 7033, OpenID Connect Discovery §2): from what a person types to the issuer. It says where a domain's
//! people sign in, not who they are: known and unknown people are answered alike, and no record is read.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::op::Op;
use crate::op::error::{Code, Error, Result, invalid_request};
use crate::op::serve::{self, set};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::json;
use url::Url;

pub struct WebFinger;

/// OpenID Connect Discovery §2.
const ISSUER: &str = "http://openid.net/specs/connect/1.0/issuer";
/// The longest query, the longest resource, and the most parameters that are looked at.
const MAX_QUERY: usize = 8 << 10;
const MAX_RESOURCE: usize = 2_048;
const MAX_PARAMETERS: usize = 50;

#[async_trait]
impl Endpoint for WebFinger {
    fn name(&self) -> &'static str {
        "webfinger"
    }
    fn spec(&self) -> &'static str {
        "RFC 7033 §4, OpenID Connect Discovery §2"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Json
    }
    // RFC 7033 §5: for scripts of any origin.
    fn cors(&self) -> Cors {
        Cors::AnyOrigin
    }
    fn fixed_paths(&self, _op: &Op) -> Vec<String> {
        vec!["/.well-known/webfinger".into()]
    }

    async fn answer(&self, op: &Op, call: Call<'_>) -> Result<Response<Bytes>> {
        let (resource, rels) = asked(call.request.uri().query().unwrap_or(""))?;
        // RFC 7033 §4.2: a resource that nobody could have is a bad request, one of another host is not found.
        let host = host(&resource).ok_or_else(|| invalid_request("The resource names no host"))?;
        if !is_ours(op, &host) {
            return Err(Error::new(Code::NotFound, "Nothing is known here of that host"));
        }
        // RFC 7033 §4.3: `rel` filters the links, and only them.
        let wanted = rels.is_empty() || rels.iter().any(|rel| rel == ISSUER);
        let links =
            if wanted { vec![json!({ "rel": ISSUER, "href": op.settings.issuer })] } else { Vec::new() };
        let mut response = serve::json(StatusCode::OK, &json!({ "subject": resource, "links": links }));
        set(&mut response, header::CONTENT_TYPE, "application/jrd+json");
        Ok(response)
    }
}

/// `resource`, and every `rel`. RFC 7033 §4.1: percent-encoding it is, so a plus sign is a plus sign.
fn asked(query: &str) -> Result<(String, Vec<String>)> {
    if query.len() > MAX_QUERY {
        return Err(invalid_request("The request is too long"));
    }
    let (mut resources, mut rels) = (Vec::new(), Vec::new());
    for (nth, (name, value)) in form_urlencoded::parse(query.replace('+', "%2B").as_bytes()).enumerate() {
        if nth >= MAX_PARAMETERS {
            return Err(invalid_request("There are too many parameters"));
        }
        match name.as_ref() {
            "resource" => resources.push(value.into_owned()),
            "rel" => rels.push(value.into_owned()),
            _ => {}
        }
    }
    let odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    match <[String; 1]>::try_from(resources) {
        Ok([resource])
            if !resource.is_empty() && resource.len() <= MAX_RESOURCE && !resource.contains(odd) =>
        {
            Ok((resource, rels))
        }
        Ok(_) => Err(invalid_request("The resource is empty, too long, or no text")),
        Err(_) => Err(invalid_request("One parameter resource is needed")),
    }
}

/// The authority a resource belongs to, in lower case and without a default port: `acct:` (RFC 7565 §3), `mailto:` and
/// http or https URLs.
fn host(resource: &str) -> Option<String> {
    let (scheme, rest) = resource.split_once(':')?;
    let authority = match scheme.to_ascii_lowercase().as_str() {
        "acct" | "mailto" => rest.rsplit_once('@').filter(|(user, _)| !user.is_empty())?.1,
        "http" | "https" => {
            let rest = rest.strip_prefix("//")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            // OpenID Connect Discovery §2.1.2: `https://joe@example.com` is joe's address at the host.
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        }
        _ => return None,
    };
    // Through one parser, so that a host that could be read in two ways is none.
    let url = Url::parse(&format!("https://{authority}/")).ok()?;
    let host = url.host_str().filter(|host| authority.to_ascii_lowercase().starts_with(*host))?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// The issuer's host (`acct:` has no room for its port, RFC 7565 §7), or one of the operator's domains.
fn is_ours(op: &Op, host: &str) -> bool {
    let own = op.host().to_ascii_lowercase();
    let bare = own.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    own == host
        || bare.is_some_and(|(bare, _)| bare == host)
        || op.settings.webfinger.domains.iter().any(|domain| domain == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::fixture::{body, header, op, op_with, send};

    async fn ask(op: &Op, query: &str) -> Response<Bytes> {
        send(op, "GET", &format!("/.well-known/webfinger{query}"), &[("origin", "https://app.example")]).await
    }

    /// OpenID Connect Discovery §2.2.1, with our names.
    #[tokio::test]
    async fn an_account_of_our_host_leads_to_the_issuer() {
        let op = op_with("webfinger: { domains: [people.example, 'people.example:8443'] }").await;
        for resource in [
            "acct%3Ajoe%40op.example",
            "acct:joe@op.example",
            "acct:joe+tag@OP.example",
            "acct:joe%2540work@people.example",
            "https%3A%2F%2Fop.example%2Fjoe",
            "https://joe@op.example:443",
            "https://people.example:8443/joe?x=1",
            "mailto:joe@people.example",
        ] {
            for rel in [
                "",
                "&rel=http%3A%2F%2Fopenid.net%2Fspecs%2Fconnect%2F1.0%2Fissuer",
                "&rel=x&rel=http://openid.net/specs/connect/1.0/issuer",
            ] {
                let answer = ask(&op, &format!("?resource={resource}{rel}")).await;
                assert_eq!(answer.status(), 200, "{resource}: {answer:?}");
                assert_eq!(header(&answer, "content-type"), "application/jrd+json");
                assert_eq!(header(&answer, "access-control-allow-origin"), "*");
                assert_eq!(body(&answer)["links"], json!([{ "rel": ISSUER, "href": "https://op.example" }]));
            }
        }
        // RFC 7033 §4.4.4: the subject is the resource that was asked for.
        assert_eq!(
            body(&ask(&op, "?resource=acct:joe+tag@op.example").await)["subject"],
            "acct:joe+tag@op.example"
        );
        // RFC 7033 §4.3: other relations have no links here.
        assert_eq!(
            body(&ask(&op, "?resource=acct:joe@op.example&rel=http://webfinger.net/rel/avatar").await)["links"],
            json!([])
        );
    }

    /// ATTACKS 48, 37: what is typed decides about the host alone.
    #[tokio::test]
    async fn foreign_hosts_are_not_found_and_nonsense_is_a_bad_request() {
        let op = op().await;
        for resource in [
            "acct:joe@evil.example",
            "acct:joe@op.example.evil.example",
            "acct:joe@op.example@evil.example",
            "acct:joe@op.example:8443",
            "https://op.example@evil.example/",
            "https://evil.example/@op.example",
            "https://evil.example?x=@op.example",
        ] {
            assert_eq!(ask(&op, &format!("?resource={resource}")).await.status(), 404, "{resource}");
        }
        for query in [
            "",
            "?rel=x",
            "?resource=",
            "?resource=joe@op.example",
            "?resource=acct:op.example",
            "?resource=acct:@op.example",
            "?resource=acct:joe@",
            "?resource=acct:joe@op.example%00",
            "?resource=acct:joe@op.example%ff",
            "?resource=acct:joe@op.example&resource=acct:ann@op.example",
            "?resource=javascript:alert(1)",
            "?resource=https:op.example",
            "?resource=acct:joe@op%252eexample",
        ] {
            let answer = ask(&op, query).await;
            assert_eq!(
                (answer.status().as_u16(), body(&answer)["error"].as_str()),
                (400, Some("invalid_request")),
                "{query}"
            );
        }
        assert_eq!(ask(&op, &format!("?resource=acct:{}@op.example", "x".repeat(3_000))).await.status(), 400);
        assert_eq!(
            ask(&op, &format!("?resource=acct:x@op.example{}", "&rel=x".repeat(60))).await.status(),
            400
        );
    }

    #[tokio::test]
    async fn the_host_of_an_issuer_with_path_and_port_is_asked_at_its_root() {
        let op = op_with("issuer: 'https://127.0.0.1:8000/tenant'").await;
        assert!(op.owns("/.well-known/webfinger"));
        for resource in ["acct:joe@127.0.0.1", "acct:joe@127.0.0.1:8000", "https://127.0.0.1:8000/tenant"] {
            let found = body(&ask(&op, &format!("?resource={resource}")).await);
            assert_eq!(found["links"][0]["href"], "https://127.0.0.1:8000/tenant", "{resource}");
        }
    }

    #[test]
    fn a_domain_that_is_none_is_a_fault() {
        for domain in
            ["People.example", "https://people.example", "people.example/", "people.example:443", ""]
        {
            let settings =
                crate::op::fixture::settings(&format!("webfinger: {{ domains: [ok.example, '{domain}'] }}"));
            let faults = settings.faults();
            assert!(faults.iter().any(|(path, _)| path == "webfinger.domains[1]"), "{domain}: {faults:?}");
        }
    }
}
