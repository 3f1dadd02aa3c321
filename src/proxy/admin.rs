//! The read-only listener for those who watch: `/livez`, `/readyz`, `/metrics`, `/version`. It changes nothing, and is
//! for loopback only; the Host is checked, so that a page in a browser on this machine cannot read it by a name of its
//! own (DNS rebinding).

use super::authority::Authority;
use crate::base::uri::is_loopback_host;
use crate::observe::metrics::Metrics;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Connections served at once; others wait.
const AT_ONCE: usize = 32;

/// How long a connection may take altogether.
const TOTAL: Duration = Duration::from_secs(30);

/// What the watchers are told.
pub struct Admin {
    pub metrics: Arc<Metrics>,
    /// Whether new requests are welcome: `/readyz` says 503 otherwise.
    pub ready: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Serves until it is dropped.
///
/// # Errors
/// The listener is gone.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>) -> io::Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= AT_ONCE {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(tokio::time::timeout(TOTAL, connection(stream, admin.clone())));
            }
            // Out of file descriptors: somebody has to close one first.
            Err(error) if error.raw_os_error().is_some() => {
                tokio::time::sleep(Duration::from_millis(100)).await
            }
            Err(error) => return Err(error),
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, admin: Arc<Admin>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = answer(&admin, request.method(), request.uri().path(), request.headers());
        async move { Ok::<_, Infallible>(response.map(Full::new)) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5)).max_buf_size(16 << 10);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the admin listener failed");
    }
}

fn answer(admin: &Admin, method: &Method, path: &str, headers: &http::HeaderMap) -> Response<Bytes> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let here =
        host.and_then(|host| Authority::parse(host).ok()).is_some_and(|host| is_loopback_host(host.host()));
    if !here {
        return text(StatusCode::MISDIRECTED_REQUEST, "this listener is for this machine only\n");
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "this listener only reads\n");
    }
    match path {
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" if (admin.ready)() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        "/version" => {
            text(StatusCode::OK, concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        "/metrics" => {
            let mut response = text(StatusCode::OK, admin.metrics.text());
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "/livez /readyz /metrics /version\n"),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn ask(admin: &Admin, method: Method, path: &str, host: Option<&str>) -> (u16, String) {
        let mut headers = http::HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        let response = answer(admin, &method, path, &headers);
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[test]
    fn watchers_on_this_machine_are_told_and_nobody_else_is() {
        let ready = Arc::new(AtomicBool::new(true));
        let asked = ready.clone();
        let ready_now = Box::new(move || asked.load(Ordering::SeqCst));
        let admin = Admin { metrics: Arc::default(), ready: ready_now };
        let here = Some("127.0.0.1:9090");
        assert_eq!(ask(&admin, Method::GET, "/livez", here).0, 200);
        assert_eq!(ask(&admin, Method::GET, "/readyz", Some("localhost")).0, 200);
        ready.store(false, Ordering::SeqCst);
        assert_eq!(ask(&admin, Method::GET, "/readyz", Some("[::1]:9090")).0, 503);
        assert!(ask(&admin, Method::GET, "/metrics", here).1.ends_with("# EOF\n"));
        assert!(ask(&admin, Method::GET, "/version", here).1.starts_with("oidcop-proxy "));
        assert_eq!(ask(&admin, Method::GET, "/x", here).0, 404);
        assert_eq!(ask(&admin, Method::POST, "/metrics", here).0, 405);
        for stranger in
            [None, Some("evil.example"), Some("127.0.0.1.evil.example"), Some("192.0.2.1"), Some("")]
        {
            assert_eq!(ask(&admin, Method::GET, "/metrics", stranger).0, 421, "{stranger:?}");
        }
    }
}
