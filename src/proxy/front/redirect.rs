//! The listener without TLS: sends browsers to https and serves nothing else. It reads one small request head and
//! closes; it has no part in pingora's HTTP.

use super::settings::{Limits, Redirect};
use super::slots::Slots;
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use pingora::services::listening::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// More than any browser sends to a host it never spoke to.
const LARGEST_HEAD: usize = 8 * 1024;
/// What is read and forgotten after the answer, so that closing does not reset it away.
const LARGEST_REST: usize = 64 * 1024;
const REST: Duration = Duration::from_millis(500);

/// Whether a host (lower case, no port, no trailing dot) is one of ours.
pub type Known = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The application of the redirect service.
pub struct RedirectApp {
    known: Known,
    port: u16,
    limits: Limits,
    slots: Arc<Slots>,
}

impl RedirectApp {
    /// The service pingora runs. `known` is asked for every request, so it may follow reloads.
    pub fn service(settings: &Redirect, limits: &Limits, known: Known) -> Service<RedirectApp> {
        let app = RedirectApp { known, port: settings.port, limits: limits.clone(), slots: Arc::default() };
        let mut service = Service::new("redirect".to_owned(), app);
        super::listen(&mut service, &settings.listen);
        service
    }

    fn answer(&self, head: &[u8]) -> String {
        let (status, location) = match Asked::parse(head) {
            None => ("400 Bad Request", None),
            Some(asked) if !(self.known)(&asked.host) => ("421 Misdirected Request", None),
            Some(asked) => {
                let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
                let location = format!("https://{}{port}{}", asked.host, asked.target);
                // RFC 9110 §15.4: 308 keeps the method; for GET and HEAD the older 301 means the same.
                (if asked.safe { "301 Moved Permanently" } else { "308 Permanent Redirect" }, Some(location))
            }
        };
        let location = location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
        format!("HTTP/1.1 {status}\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n")
    }
}

#[async_trait]
impl ServerApp for RedirectApp {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let limit = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let mut slot = self.slots.take(limit(self.limits.connections.get()))?;
        let peer = stream.get_socket_digest()?.peer_addr()?.as_inet()?.ip();
        if !slot.belongs_to(peer, limit(self.limits.per_address.get())) {
            return None;
        }
        // One deadline for the head and the answer.
        let _ = timeout(self.limits.head.0, async {
            let answer = match read_head(&mut stream).await {
                Some(head) => self.answer(&head),
                None => return,
            };
            if stream.write_all(answer.as_bytes()).await.is_ok() && stream.shutdown().await.is_ok() {
                let mut rest = stream.take(u64::try_from(LARGEST_REST).unwrap_or(u64::MAX));
                let _ = timeout(REST, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
            }
        })
        .await;
        None
    }
}

/// Up to the empty line. An oversized head is handed on as it is: it parses as no request. `None`: the client left.
async fn read_head(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !ends(&head) && head.len() < LARGEST_HEAD {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|four| four == b"\r\n\r\n")
}

/// As much of a request as a redirect needs.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// GET or HEAD.
    safe: bool,
    host: String,
    /// Path and query, as sent.
    target: String,
}

impl Asked {
    /// RFC 9112 §3, the strict half of it: origin form, one Host, nothing that could end a header line early.
    fn parse(head: &[u8]) -> Option<Asked> {
        let text = std::str::from_utf8(head).ok()?;
        let (head, _) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if words.next().is_some()
            || !matches!(version, "HTTP/1.1" | "HTTP/1.0")
            || method.is_empty()
            || !method.bytes().all(|byte| byte.is_ascii_uppercase())
            || !target.starts_with('/')
            || !graphic(target)
        {
            return None;
        }
        let mut hosts = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then_some(value.trim_matches([' ', '\t']))
        });
        // RFC 9112 §3.2: none or two are answered 400.
        let host = hosts.next()?;
        if hosts.next().is_some() {
            return None;
        }
        let safe = matches!(method, "GET" | "HEAD");
        Some(Asked { safe, host: bare_host(host)?, target: target.to_owned() })
    }
}

/// Lower case, without port and trailing dot; only what a host name or an address in brackets is made of.
fn bare_host(written: &str) -> Option<String> {
    let (host, port) = match written.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (format!("[{address}]"), after.strip_prefix(':').or(after.is_empty().then_some(""))?)
        }
        None => {
            let (host, port) = written.split_once(':').unwrap_or((written, ""));
            (host.strip_suffix('.').unwrap_or(host).to_owned(), port)
        }
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let sound = !host.is_empty() && host.bytes().all(plain) && port.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: &str) -> String {
        let app = RedirectApp {
            known: Arc::new(|host| ["app.example", "[::1]"].contains(&host)),
            port: 8443,
            limits: Limits::default(),
            slots: Arc::default(),
        };
        app.answer(request.as_bytes())
    }

    #[test]
    fn a_known_host_is_sent_to_https_with_path_and_query() {
        let said = answer("GET /a%20b?c=//d HTTP/1.1\r\nHost: App.Example.:80\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 301 "), "{said}");
        assert!(said.contains("\r\nLocation: https://app.example:8443/a%20b?c=//d\r\n"), "{said}");
        let said = answer("POST //evil.example/ HTTP/1.1\r\nhost:app.example\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 308 "), "{said}");
        assert!(said.contains("\r\nLocation: https://app.example:8443//evil.example/\r\n"), "{said}");
        assert!(
            answer("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").contains("Location: https://[::1]:8443/\r\n")
        );
    }

    #[test]
    fn a_foreign_host_goes_nowhere() {
        for host in ["other.example", "app.example.evil.example", "sub.app.example", "127.0.0.1"] {
            let said = answer(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert!(said.starts_with("HTTP/1.1 421 ") && !said.contains("Location"), "{said}");
        }
    }

    #[test]
    fn what_is_no_plain_request_is_refused() {
        for request in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: app.example\r\nHost: app.example\r\n\r\n",
            "GET http://app.example/ HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "GET /\rX HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "GET /\tx HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "GET /ä HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "get / HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: app.example\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: user@app.example\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: app.example/\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: app.example:8x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: app.example\r\n",
            "\u{16}\u{3}\u{1}\r\n\r\n",
        ] {
            let said = answer(request);
            assert!(said.starts_with("HTTP/1.1 400 ") && !said.contains("Location"), "{request}: {said}");
        }
    }
}
