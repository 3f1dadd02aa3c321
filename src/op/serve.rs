//! From a request to its endpoint and back: the path table, methods, CORS, HEAD, and the form of errors.

use super::binding::dpop::ALGS_IN_CHALLENGE;
use super::binding::{DPOP_NONCE, Scheme};
use super::endpoint::{Call, Cors, ENDPOINTS, Endpoint, ErrorForm};
use super::error::{Code, Error, Result, server_error};
use super::{Op, Peer};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use std::collections::HashMap;

/// The paths at which `endpoint` answers, the advertised one first.
pub(super) fn paths(op: &Op, endpoint: &dyn Endpoint) -> Vec<String> {
    let fixed = endpoint.fixed_paths(op);
    if !fixed.is_empty() {
        return fixed;
    }
    match op.settings.paths.get(endpoint.name()) {
        Some(paths) if !paths.is_empty() => paths.clone(),
        _ => vec![format!("{}/{}", op.settings.mount, endpoint.name())],
    }
}

/// The advertised address of `endpoint`.
pub(super) fn address(op: &Op, endpoint: &dyn Endpoint) -> String {
    let origin = op.origin();
    paths(op, endpoint).first().map(|path| format!("{origin}{path}")).unwrap_or_default()
}

/// Which endpoint answers at which path: computed once per configuration.
#[derive(Default)]
pub(super) struct Paths {
    exact: HashMap<String, &'static dyn Endpoint>,
    /// Those that take more segments.
    open: Vec<(String, &'static dyn Endpoint)>,
}

impl Paths {
    pub(super) fn of(op: &Op) -> Paths {
        let mut all = Paths::default();
        for endpoint in ENDPOINTS {
            for path in paths(op, *endpoint) {
                if endpoint.takes_rest() {
                    all.open.push((format!("{path}/"), *endpoint));
                }
                all.exact.entry(path).or_insert(*endpoint);
            }
        }
        all
    }

    /// The endpoint, and what follows its own path.
    fn find<'a>(&self, path: &'a str) -> Option<(&'static dyn Endpoint, &'a str)> {
        if let Some(endpoint) = self.exact.get(path) {
            return Some((*endpoint, ""));
        }
        self.open.iter().find_map(|(prefix, endpoint)| {
            let own = prefix.len() - 1;
            path.starts_with(prefix.as_str()).then(|| (*endpoint, path.get(own..).unwrap_or("")))
        })
    }
}

/// What answers at `path`.
pub(super) fn endpoint(op: &Op, path: &str) -> Option<&'static dyn Endpoint> {
    op.paths.find(path).map(|(endpoint, _)| endpoint)
}

pub(super) fn owns(op: &Op, path: &str) -> bool {
    let mount = op.settings.mount.as_str();
    path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || op.paths.find(path).is_some()
}

pub(super) async fn handle(op: &Op, mut request: Request<Bytes>, peer: &Peer) -> Response<Bytes> {
    let head = request.method() == Method::HEAD;
    if head {
        *request.method_mut() = Method::GET;
    }
    let path = request.uri().path().to_owned();
    let mut response = match op.paths.find(&path) {
        None => render(op, ErrorForm::Page, &super::endpoint::nothing_here(), &request, peer),
        Some((endpoint, rest)) => answer(op, endpoint, rest, &request, peer).await,
    };
    seal(&mut response);
    if head {
        // The length stays: RFC 9110 §9.3.2.
        *response.body_mut() = Bytes::new();
    }
    response
}

async fn answer(
    op: &Op,
    endpoint: &dyn Endpoint,
    rest: &str,
    request: &Request<Bytes>,
    peer: &Peer,
) -> Response<Bytes> {
    tracing::trace!(endpoint = endpoint.name(), spec = endpoint.spec(), request_id = %peer.request_id);
    let cors = endpoint.cors() == Cors::AnyOrigin;
    if cors && request.method() == Method::OPTIONS {
        return preflight(endpoint, request);
    }
    let result = if endpoint.methods().contains(request.method()) {
        endpoint.answer(op, Call { request, peer, rest, now: op.now() }).await
    } else {
        Err(Error::new(Code::MethodNotAllowed, "This endpoint does not take that method"))
    };
    let mut response = result.unwrap_or_else(|error| {
        let mut response = render(op, endpoint.error_form(), &error, request, peer);
        if error.code == Code::MethodNotAllowed {
            set(&mut response, header::ALLOW, &allowed(endpoint));
        }
        response
    });
    if cors && request.headers().contains_key(header::ORIGIN) {
        set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(&mut response, header::ACCESS_CONTROL_EXPOSE_HEADERS, "WWW-Authenticate, DPoP-Nonce");
    }
    response
}

fn allowed(endpoint: &dyn Endpoint) -> String {
    endpoint.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// Fetch §3.2.2. Never with credentials: nothing here rests on cookies.
fn preflight(endpoint: &dyn Endpoint, request: &Request<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, &allowed(endpoint));
        set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, DPoP");
        set(&mut response, header::ACCESS_CONTROL_MAX_AGE, "600");
    } else {
        set(&mut response, header::ALLOW, &allowed(endpoint));
    }
    response
}

fn render(op: &Op, form: ErrorForm, error: &Error, request: &Request<Bytes>, peer: &Peer) -> Response<Bytes> {
    let id = &peer.request_id;
    match error.code {
        Code::ServerError | Code::TemporarilyUnavailable => {
            tracing::error!(request_id = %id, cause = ?error.cause, "the provider could not answer");
        }
        _ => {
            tracing::debug!(request_id = %id, code = error.code.wire(), says = %error.says, cause = ?error.cause)
        }
    }
    let mut response = match form {
        ErrorForm::Page => super::page::error(op, error, request, peer),
        ErrorForm::Json | ErrorForm::Bearer => json(status(form, error.code), &body(error)),
    };
    if let Some(challenge) = challenge(op, form, error) {
        set(&mut response, header::WWW_AUTHENTICATE, &challenge);
    }
    // RFC 9449 §8, §9.
    if let Some(nonce) = op.dpop_nonce().filter(|_| error.code == Code::UseDpopNonce) {
        set(&mut response, DPOP_NONCE, &nonce);
    }
    if let Some(seconds) = error.retry_after {
        set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    response
}

/// RFC 6749 §5.2.
fn body(error: &Error) -> serde_json::Value {
    serde_json::json!({ "error": error.code.wire(), "error_description": error.description() })
}

/// RFC 9449 §7.1: beside an access token, what is wrong with a proof is 401; in a token request it is 400 (§5).
fn status(form: ErrorForm, code: Code) -> StatusCode {
    match (form, code) {
        (ErrorForm::Bearer, Code::InvalidDpopProof | Code::UseDpopNonce) => StatusCode::UNAUTHORIZED,
        _ => code.status(),
    }
}

fn challenge(op: &Op, form: ErrorForm, error: &Error) -> Option<String> {
    let status = status(form, error.code);
    match form {
        // RFC 6749 §5.2: 401 names a scheme the client can use.
        ErrorForm::Json if error.code == Code::InvalidClient => {
            Some(format!("Basic realm=\"{}\"", op.settings.issuer))
        }
        // RFC 6750 §3: no error code if the request lacked any credentials; that is the endpoint's own answer.
        ErrorForm::Bearer if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN => {
            let (code, says) = (error.code.wire(), error.description());
            let scheme = if error.dpop { Scheme::Dpop } else { Scheme::Bearer };
            let mut challenge = format!(
                "{} realm=\"{}\", error=\"{code}\", error_description=\"{says}\"",
                scheme.name(),
                op.settings.issuer
            );
            // RFC 9449 §7.1.
            if error.dpop {
                challenge.push_str(&format!(", algs=\"{ALGS_IN_CHALLENGE}\""));
            }
            Some(challenge)
        }
        _ => None,
    }
}

/// An answer in JSON that no cache keeps.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// 303: what follows is a GET, whatever this was (RFC 9700 §4.12).
pub(super) fn see_other(location: &str) -> Result<Response<Bytes>> {
    let value = HeaderValue::from_str(location).map_err(server_error)?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, value);
    Ok(response)
}

pub(super) fn set(response: &mut Response<Bytes>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What every answer carries.
fn seal(response: &mut Response<Bytes>) {
    let length = response.body().len().to_string();
    // RFC 9110 §8.6: a 304 would have to state the length of what it does not send.
    if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status()) {
        set(response, header::CONTENT_LENGTH, &length);
    }
    // RFC 6749 §5.1; documents that may be cached say so themselves.
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        set(response, header::CACHE_CONTROL, "no-store");
    }
    set(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if !response.headers().contains_key(header::REFERRER_POLICY) {
        set(response, header::REFERRER_POLICY, "no-referrer");
    }
}
