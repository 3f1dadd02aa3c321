//! `whoami`: an upstream to try the edge with. It shows the request that reached it, as JSON; a path that ends with
//! `/ws` echoes WebSocket messages (RFC 6455), one that ends with `/sse` sends an event a second. Loopback only.

mod websocket;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Connections served at once; more wait.
const CONNECTIONS: usize = 512;

/// Events after which a stream ends by itself.
const EVENTS: u64 = 3_600;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Binds `address` (port 0 = any free one), serves it on `runtime` for as long as that lives, and says where it is.
pub fn whoami(address: SocketAddr, runtime: &Handle) -> std::io::Result<SocketAddr> {
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let bound = listener.local_addr()?;
    let handle = runtime.clone();
    runtime.spawn(async move {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let tasks = handle.clone();
            handle.spawn(async move {
                let _slot = slot;
                let service = service_fn(move |request| answer(request, tasks.clone()));
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(60));
                let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
    Ok(bound)
}

async fn answer(mut request: Request<Incoming>, tasks: Handle) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    if path.ends_with("/ws") && request.headers().contains_key(header::UPGRADE) {
        return Ok(websocket(&mut request, &tasks));
    }
    if path.ends_with("/sse") {
        return Ok(events());
    }
    let (head, mut body) = request.into_parts();
    let (mut length, mut whole) = (0_u64, true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                length = length.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            Err(_) => whole = false,
        }
    }
    let shown = shown(&head, length, whole);
    let text = serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n";
    Ok(with_type(Full::new(Bytes::from(text)).boxed_unsync(), "application/json"))
}

/// The request as it came: headers that came more than once are a list.
fn shown(head: &http::request::Parts, length: u64, whole: bool) -> Value {
    let mut headers = Map::new();
    for name in head.headers.keys() {
        let values = head.headers.get_all(name).iter();
        let mut values: Vec<Value> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned().into()).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        headers.insert(name.as_str().to_owned(), value);
    }
    json!({
        "upstream": "whoami",
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": headers,
        "body": { "bytes": length, "whole": whole },
    })
}

fn with_type(body: Body, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The first event at once, then one a second.
fn events() -> Response<Body> {
    let events = stream::unfold(1_u64, |number| async move {
        if number > EVENTS {
            return None;
        }
        if number > 1 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let event = format!("id: {number}\ndata: {{\"event\": {number}}}\n\n");
        Some((Ok(Frame::data(Bytes::from(event))), number + 1))
    });
    with_type(StreamBody::new(events).boxed_unsync(), "text/event-stream")
}

fn websocket(request: &mut Request<Incoming>, tasks: &Handle) -> Response<Body> {
    let Some(accept) = request.headers().get("sec-websocket-key").and_then(|key| key.to_str().ok()) else {
        let mut response =
            with_type(Full::new(Bytes::from("no Sec-WebSocket-Key\n")).boxed_unsync(), "text/plain");
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let accept = crate::base::encode::websocket_accept(accept);
    let upgrade = hyper::upgrade::on(request);
    tasks.spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let _ = websocket::echo(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert("sec-websocket-accept", accept);
    }
    response
}
