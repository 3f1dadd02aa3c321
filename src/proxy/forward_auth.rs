//! Another proxy asks whether a request may pass (nginx `auth_request`, Traefik, Caddy, Envoy). What it tells of the original
//! request is judged as if that had come to the edge: the same path checks, routes, rates and policies. Only proxies of
//! trusted networks are heard; nothing is read from where their clients could write; no body is read.

use super::answer;
use super::authority::{Authority, Pattern};
use super::context::Context;
use super::denial::Denial;
use super::front::Exchange;
use super::header::Names;
use super::identity::Caller;
use super::policy::{self, Asked};
use super::route::Route;
use super::settings::{Dialect, ForwardAuth};
use super::{Shared, head, path, shadow};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Uri};
use ipnet::IpNet;
use pingora::proxy::Session;

/// Where a browser would be sent, for proxies that cannot pass a redirect on.
const REDIRECT: HeaderName = HeaderName::from_static("x-auth-redirect");

/// One endpoint, ready to be asked.
pub(super) struct Gate {
    pub hosts: Vec<Pattern>,
    path: String,
    trusted: Vec<IpNet>,
    original: Dialect,
}

/// The request that somebody asks about.
#[derive(Debug, PartialEq)]
struct Original {
    method: Method,
    host: String,
    uri: Uri,
}

impl Gate {
    pub fn new(written: &ForwardAuth) -> Result<Gate, String> {
        let hosts = written.hosts.iter().map(|host| Pattern::parse(host)).collect::<Result<_, _>>()?;
        let path = written.path.trim_end_matches('/').to_owned();
        Ok(Gate { hosts, path, trusted: written.trusted.clone(), original: written.original })
    }

    pub fn is_at(&self, authority: &Authority, path: &str) -> bool {
        let here = match self.original {
            Dialect::Envoy => path::under(path, &self.path),
            Dialect::Nginx | Dialect::Forwarded => path == self.path,
        };
        here && (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(authority).is_some()))
    }

    /// The original request. What could be told in two ways is not believed in either.
    fn original(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Original, Denial> {
        let own_host = || once(headers, "host").or_else(|| uri.authority().map(|host| host.as_str()));
        let told = match self.original {
            Dialect::Nginx => {
                let method = once(headers, "x-original-method");
                match (once(headers, "x-original-url"), once(headers, "x-original-uri")) {
                    (Some(url), None) => {
                        method.zip(split(url)).map(|(method, (host, target))| (method, host, target))
                    }
                    (None, Some(target)) => {
                        method.zip(own_host()).map(|(method, host)| (method, host, target))
                    }
                    _ => None,
                }
            }
            Dialect::Forwarded => once(headers, "x-forwarded-method")
                .zip(once(headers, "x-forwarded-host"))
                .zip(once(headers, "x-forwarded-uri"))
                .map(|((method, host), target)| (method, host, target)),
            Dialect::Envoy => {
                let target = uri.path_and_query().and_then(|target| target.as_str().strip_prefix(&self.path));
                own_host().zip(target).map(|(host, target)| (method.as_str(), host, target))
            }
        };
        let (method, host, target) =
            told.ok_or(Denial::Malformed("The original request is not told, or told twice"))?;
        let malformed = |_| Denial::Malformed("The original request is malformed");
        let method: Method =
            method.parse().map_err(|_| Denial::Malformed("The original method is malformed"))?;
        let target = if target.is_empty() { "/" } else { target };
        let uri: Uri = target.parse().map_err(malformed)?;
        let raw = target.split('?').next().unwrap_or_default();
        if uri.scheme().is_some() || uri.authority().is_some() || uri.path() != raw {
            return Err(Denial::Malformed("The original request target is no path"));
        }
        Ok(Original { method, host: host.to_owned(), uri })
    }

    /// As the asking proxy can use it.
    fn shaped(&self, mut answer: Response<Bytes>) -> Response<Bytes> {
        if self.original != Dialect::Nginx {
            return answer;
        }
        // ngx_http_auth_request_module: 2xx passes, 401 and 403 refuse, all else is an error.
        let status = answer.status();
        if status.is_redirection() {
            if let Some(location) = answer.headers_mut().remove(header::LOCATION) {
                answer.headers_mut().insert(REDIRECT, location);
            }
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        } else if status.is_client_error() && status != StatusCode::UNAUTHORIZED {
            *answer.status_mut() = StatusCode::FORBIDDEN;
        }
        answer
    }
}

/// The one value of a header; twice is as good as never.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Host and target of an absolute URL.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

/// Answers whoever asks.
pub(super) async fn answer(
    shared: &Shared,
    gate: &Gate,
    session: &mut Session,
    context: &mut Context,
) -> Result<Response<Bytes>, Denial> {
    let peer = Exchange::current().map(|exchange| exchange.peer.ip().to_canonical());
    let heard = peer.filter(|peer| gate.trusted.iter().any(|network| network.contains(peer)));
    let Some(peer) = heard else { return Err(Denial::Forbidden("Only trusted proxies may ask here")) };
    context.client = head::caller(peer, &session.req_header().headers, &gate.trusted).address;
    context.line.address = Some(context.client);
    match pass(shared, gate, session, context).await {
        Ok(response) => Ok(response),
        Err(denial) => {
            let response = answer::render(&denial, &session.req_header().headers, &context.request_id);
            context.denied(denial);
            Ok(gate.shaped(response))
        }
    }
}

async fn pass(
    shared: &Shared,
    gate: &Gate,
    session: &mut Session,
    context: &mut Context,
) -> Result<Response<Bytes>, Denial> {
    let state = context.state.clone();
    let asked = session.req_header();
    let original = gate.original(&asked.method, &asked.uri, &asked.headers)?;
    let path = original.uri.path();
    context.line.host = original.host.chars().take(256).collect();
    context.line.method = original.method.as_str().to_owned();
    context.line.path = path.chars().take(512).collect();
    if matches!(original.method, Method::TRACE | Method::CONNECT) {
        return Err(Denial::Method(String::new()));
    }
    let authority = Authority::parse(&original.host).map_err(Denial::Malformed)?;
    let checked = path::check(path.as_bytes()).map_err(Denial::Malformed)?;
    if !state.routes.knows(&authority) {
        return Err(Denial::UnknownHost);
    }
    if let Some(denial) = shadow(&state, &authority, path, checked) {
        return Err(denial);
    }
    // What the edge answers itself has nothing behind it that could be asked for.
    if state.is_ops(&authority, path)
        || state.is_key_set(&authority, path)
        || state.gate(&authority, path).is_some()
    {
        return Err(Denial::NoRoute);
    }
    let route = state.routes.find(&authority, path, checked, &original.method)?.clone();
    context.line.route = Some(route.name.clone());
    context.line.policy = Some(route.policy.name());
    context.route = Some(route.clone());
    route.limiter.by_address(context.client)?;
    let permit = policy::judge(
        route.policy,
        Asked {
            verifier: state.verifier.as_ref(),
            rule: &route.rule,
            method: &original.method,
            authority: authority.as_str(),
            uri: &original.uri,
            headers: &session.req_header().headers,
            // The connection is the asking proxy's, and so is its certificate.
            direct: false,
        },
    )
    .await?;
    let facts = permit.facts().cloned();
    let (subject, client) =
        facts.as_ref().map(|facts| (facts.subject.as_str(), facts.client_id.as_str())).unzip();
    route.limiter.by_caller(subject, client)?;
    let upgrade = session.get_header(header::UPGRADE);
    if upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) && !route.websocket {
        return Err(Denial::Forbidden("No WebSocket may be opened here"));
    }
    context.permitted(permit);
    told(shared, &route, &state.names, context).await
}

/// Who calls. What is not known is said too, as nothing: so that what a client has forged is overwritten.
async fn told(
    shared: &Shared,
    route: &Route,
    names: &Names,
    context: &Context,
) -> Result<Response<Bytes>, Denial> {
    let permit = context.permit.as_ref().ok_or(Denial::Bug("a permit was lost"))?;
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for name in names.fixed().chain(route.told.iter().map(|(name, _)| name)) {
        headers.insert(name.clone(), HeaderValue::from_static(""));
    }
    let caller = Caller { permit, request_id: &context.request_id, address: context.client };
    let rendered =
        route.told.iter().filter_map(|(name, template)| Some((name.clone(), template.render(&caller)?)));
    for (name, value) in names.said(permit).chain(rendered) {
        let value =
            HeaderValue::from_str(&value).map_err(|_| Denial::Bug("a value that no header can hold"))?;
        headers.insert(name, value);
    }
    if let Some(mint) = &route.mint {
        let value = match permit.facts() {
            Some(facts) => mint.value(&shared.own, &shared.kit, facts).await?,
            None => HeaderValue::from_static(""),
        };
        headers.insert(mint.header().clone(), value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(original: Dialect) -> Gate {
        let written = ForwardAuth { path: "/auth".into(), hosts: vec![], trusted: vec![], original };
        Gate::new(&written).unwrap()
    }

    fn asked(original: Dialect, uri: &str, fields: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let told = gate(original).original(&Method::GET, &uri.parse().unwrap(), &headers).ok()?;
        Some(format!("{} {}{}", told.method, told.host, told.uri))
    }

    #[test]
    fn each_dialect_tells_of_the_original_request() {
        let nginx = [("x-original-method", "PUT"), ("x-original-url", "https://a.example/x?y")];
        assert_eq!(asked(Dialect::Nginx, "/auth", &nginx).as_deref(), Some("PUT a.example/x?y"));
        let nginx = [("host", "b.example"), ("x-original-method", "PUT"), ("x-original-uri", "/x?y")];
        assert_eq!(asked(Dialect::Nginx, "/auth", &nginx).as_deref(), Some("PUT b.example/x?y"));
        let traefik =
            [("x-forwarded-method", "PUT"), ("x-forwarded-host", "a.example"), ("x-forwarded-uri", "/x?y")];
        assert_eq!(asked(Dialect::Forwarded, "/auth", &traefik).as_deref(), Some("PUT a.example/x?y"));
        let envoy = [("host", "a.example")];
        assert_eq!(asked(Dialect::Envoy, "/auth/x?y", &envoy).as_deref(), Some("GET a.example/x?y"));
        assert_eq!(asked(Dialect::Envoy, "/auth", &envoy).as_deref(), Some("GET a.example/"));
    }

    #[test]
    fn what_is_told_twice_in_part_or_by_another_dialect_is_not_believed() {
        let (method, url, uri) = (
            ("x-original-method", "GET"),
            ("x-original-url", "https://a.example/x"),
            ("x-original-uri", "/x"),
        );
        for fields in [
            vec![method, url, uri, ("host", "a.example")],
            vec![method, url, url],
            vec![method, method, url],
            vec![url],
            vec![method],
            vec![method, ("x-original-url", "/x")],
            vec![method, ("x-original-url", "ftp://a.example/x")],
            vec![method, ("host", "a.example"), ("x-original-uri", "https://a.example/x")],
            vec![method, ("host", "a.example"), ("x-original-uri", "x")],
            vec![method, ("host", "a.example"), ("x-original-uri", "/x#y")],
            vec![("x-forwarded-method", "GET"), ("x-forwarded-host", "a.example"), ("x-forwarded-uri", "/x")],
        ] {
            assert_eq!(asked(Dialect::Nginx, "/auth", &fields), None, "{fields:?}");
        }
        assert_eq!(asked(Dialect::Forwarded, "/auth", &[method, url]), None);
    }

    #[test]
    fn nginx_gets_statuses_it_understands() {
        let shaped = |status: u16| {
            let response = Response::builder().status(status).header(header::LOCATION, "/login");
            gate(Dialect::Nginx).shaped(response.body(Bytes::new()).unwrap())
        };
        for (status, expected) in
            [(401, 401), (403, 403), (400, 403), (404, 403), (421, 403), (429, 403), (503, 503)]
        {
            assert_eq!(shaped(status).status(), expected, "{status}");
        }
        let sent = shaped(302);
        assert_eq!(
            (sent.status().as_u16(), &sent.headers()[&REDIRECT]),
            (401, &HeaderValue::from_static("/login"))
        );
        assert!(!sent.headers().contains_key(header::LOCATION));
    }
}
