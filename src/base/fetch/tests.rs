//! Against a real TLS server on loopback, with certificates made here.

use super::*;
use crate::base::scalar::Span;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::future::Future;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server that answers every connection with the same bytes and keeps what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    settings: Settings,
    _ca_file: tempfile::NamedTempFile,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>) -> Server {
        Server::start_at("127.0.0.1:0", answer).await
    }

    async fn start_at(address: &str, answer: impl Into<Vec<u8>>) -> Server {
        let (config, ca) = certificates();
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (answer.into(), asked.clone());
        Handle::current().spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = vec![0; 4_096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                log.lock().unwrap().push(String::from_utf8_lossy(&head[..read]).into_owned());
                if answer.is_empty() {
                    // Never answers; the connection is held open.
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        let ca_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), ca).unwrap();
        let settings = Settings {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            ca_file: Some(ca_file.path().to_owned()),
            timeout: Span::secs(5),
        };
        Server { port, asked, settings, _ca_file: ca_file }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    async fn get(&self, max: usize) -> Result<Fetched, Fault> {
        let fetch = Fetch::system(&self.settings, Handle::current()).unwrap();
        fetch.get(&self.url("/x"), "*/*", max).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A server's configuration for localhost and 127.0.0.1, and the authority's PEM.
fn certificates() -> (ServerConfig, String) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], private).unwrap(), pem)
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_document_is_fetched_over_tls_by_name_and_by_address() {
    run(async {
        let head = "200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nCache-Control: max-age=90";
        let server = Server::start(answer(head, r#"{"a":1}"#)).await;
        let fetch = Fetch::system(&server.settings, Handle::current()).unwrap();
        for url in [server.url("/keys?x=1"), format!("https://127.0.0.1:{}/keys?x=1", server.port)] {
            let fetched = fetch.get(&url, "application/json", 100).await.unwrap();
            assert_eq!(fetched.status, 200);
            assert_eq!(fetched.content_type, "application/json");
            assert_eq!(&fetched.body[..], br#"{"a":1}"#);
            assert_eq!(fetched.max_age, Some(Duration::from_secs(90)));
        }
        let first = server.asked()[0].to_ascii_lowercase();
        assert!(first.starts_with("get /keys?x=1 http/1.1\r\n"), "{first}");
        assert!(first.contains(&format!("host: localhost:{}\r\n", server.port)), "{first}");
        assert!(first.contains("accept: application/json\r\n"), "{first}");
        assert!(first.contains("accept-encoding: identity\r\n"), "{first}");
    });
}

#[test]
fn a_post_carries_its_body() {
    run(async {
        let server = Server::start(answer("204 No Content", "")).await;
        let fetch = Fetch::system(&server.settings, Handle::current()).unwrap();
        let body = Bytes::from_static(b"logout_token=x");
        let form = "application/x-www-form-urlencoded";
        let fetched = fetch.post(&server.url("/bcl"), form, body, "*/*", 100).await.unwrap();
        assert_eq!(fetched.status, 204);
        let asked = server.asked()[0].to_ascii_lowercase();
        assert!(asked.starts_with("post /bcl http/1.1\r\n"), "{asked}");
        assert!(asked.contains("content-type: application/x-www-form-urlencoded\r\n"), "{asked}");
        assert!(asked.ends_with("logout_token=x"), "{asked}");
    });
}

#[test]
fn an_address_that_is_not_public_is_refused_before_a_byte_is_sent() {
    run(async {
        let mut server = Server::start(answer("200 OK", "secret")).await;
        server.settings.allow = vec!["10.0.0.0/8".parse().unwrap()];
        let fetch = Fetch::system(&server.settings, Handle::current()).unwrap();
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let url = format!("https://{host}:{}/x", server.port);
            assert_eq!(fetch.get(&url, "*/*", 100).await, Err(Fault::Refused), "{host}");
        }
        for url in ["https://169.254.169.254/latest/meta-data/", "https://192.168.0.1/", "https://[fd00::1]/"]
        {
            assert_eq!(fetch.get(url, "*/*", 100).await, Err(Fault::Refused), "{url}");
        }
        assert!(server.asked().is_empty());
    });
}

#[test]
fn only_plain_https_urls_are_fetched() {
    run(async {
        let scripted = Fetch::scripted(|_| Ok(Fetched::ok("text/plain", "")));
        let system = Fetch::system(&Settings::default(), Handle::current()).unwrap();
        for url in [
            "http://rp.example/x",
            "file:///etc/passwd",
            "ftp://rp.example/",
            "gopher://rp.example/",
            "https://user:pw@rp.example/",
            "https://rp.example/x#fragment",
            "https://[::ffff:127.0.0.1]/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://rp.example/\r\nHost: evil",
            "",
        ] {
            assert_eq!(scripted.get(url, "*/*", 1).await, Err(Fault::Url), "{url:?}");
            assert_eq!(system.get(url, "*/*", 1).await, Err(Fault::Url), "{url:?}");
        }
        assert!(scripted.get("https://rp.example/x", "*/*", 1).await.is_ok());
    });
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    run(async {
        let server = Server::start(answer("302 Found\r\nLocation: https://169.254.169.254/", "")).await;
        assert_eq!(server.get(100).await.unwrap().status, 302);
        assert_eq!(server.asked().len(), 1);
    });
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused() {
    run(async {
        let mut server = Server::start(answer("200 OK", "x")).await;
        server.settings.ca_file = None;
        assert!(matches!(server.get(100).await, Err(Fault::Tls(_))));
        // Vouched for, but not under this name.
        let other = Server::start_at("127.0.0.2:0", answer("200 OK", "x")).await;
        let fetch = Fetch::system(&other.settings, Handle::current()).unwrap();
        let url = format!("https://127.0.0.2:{}/", other.port);
        assert!(matches!(fetch.get(&url, "*/*", 100).await, Err(Fault::Tls(_))));
        assert!(server.asked().is_empty() && other.asked().is_empty());
    });
}

#[test]
fn an_answer_beyond_its_cap_is_refused_however_it_is_framed() {
    run(async {
        assert!(Server::start(answer("200 OK", "12345")).await.get(5).await.is_ok());
        assert_eq!(Server::start(answer("200 OK", "123456")).await.get(5).await, Err(Fault::TooLarge(5)));
        let announced = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
        assert_eq!(Server::start(announced).await.get(5).await, Err(Fault::TooLarge(5)));
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
        assert_eq!(&Server::start(chunked).await.get(6).await.unwrap().body[..], b"abcdef");
        assert_eq!(Server::start(chunked).await.get(5).await, Err(Fault::TooLarge(5)));
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20));
        assert_eq!(Server::start(endless).await.get(5).await, Err(Fault::TooLarge(5)));
    });
}

#[test]
fn an_improper_answer_is_a_fault() {
    run(async {
        let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(2_000));
        for bytes in [
            "SSH-2.0-x\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
            head.as_str(),
            many.as_str(),
        ] {
            let server = Server::start(bytes).await;
            let fault = server.get(100).await.unwrap_err();
            assert!(matches!(fault, Fault::Http(_)), "{fault}");
        }
    });
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    run(async {
        let mut server = Server::start("").await;
        server.settings.timeout = Span::millis(200);
        assert_eq!(server.get(100).await, Err(Fault::Late));
    });
}

#[test]
fn a_flood_of_requests_is_refused_beyond_the_limit() {
    run(async {
        let server = Server::start("").await;
        let fetch = Fetch::system(&server.settings, Handle::current()).unwrap();
        let url = server.url("/x");
        let urls = [url.clone(), url.replace("localhost", "127.0.0.1")];
        let mut waiting = Vec::new();
        for url in &urls {
            // One host does not take all places.
            for _ in 0..PER_HOST {
                let mut request = Box::pin(fetch.get(url, "*/*", 100));
                assert!(futures_util::poll!(request.as_mut()).is_pending());
                waiting.push(request);
            }
            assert_eq!(fetch.get(url, "*/*", 100).await, Err(Fault::Overloaded));
        }
        assert_eq!(waiting.len(), AT_ONCE);
        let other = url.replace("localhost", "127.0.0.2");
        assert_eq!(fetch.get(&other, "*/*", 100).await, Err(Fault::Overloaded));
        // Whoever goes away gives the place back, once its task has ended.
        drop(waiting);
        let Kind::System(system) = &fetch.0 else { panic!("a system fetch") };
        while system.under_way.available_permits() < AT_ONCE {
            tokio::task::yield_now().await;
        }
        assert!(system.hosts.lock().is_empty());
    });
}

#[test]
fn settings_are_strict_and_a_useless_ca_file_is_named() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    assert_eq!(read("{}").unwrap(), Settings::default());
    assert!(read(r#"{"allow":["127.0.0.0/8","::1/128"],"timeout":"3s"}"#).is_ok());
    for bad in
        [r#"{"alow":[]}"#, r#"{"allow":["127.0.0.1"]}"#, r#"{"timeout":3}"#, r#"{"allow":["localhost"]}"#]
    {
        assert!(read(bad).is_err(), "{bad}");
    }
    run(async {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().to_owned(), "/nowhere/ca.pem".into()] {
            let settings = Settings { ca_file: Some(path.clone()), ..Settings::default() };
            let Err(Fault::Setup(why)) = Fetch::system(&settings, Handle::current()) else {
                panic!("accepted")
            };
            assert!(why.starts_with(&path.display().to_string()), "{why}");
        }
    });
}
