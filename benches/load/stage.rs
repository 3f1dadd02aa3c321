//! What all scenarios share: certificate, upstream, the servers (started when first needed), tokens, canned answers.

use super::machine::Cores;
use super::party::{self, Party, Running};
use super::wire::{Connection, connector};
use super::{upstream, yardstick};
use bytes::Bytes;
use oidcop_proxy::base::encode::{base64, base64url};
use oidcop_proxy::base::secret::sha256;
use rcgen::{CertificateParams, KeyPair};
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

/// The issuer's host, and that of the routes.
pub const OP: &str = "op.load.test";
pub const APP: &str = "app.load.test";
const CLIENT: &str = "load";
const SECRET: &str = "a-secret-for-the-load-bench-only";

pub struct Stage {
    pub cores: Cores,
    folder: TempDir,
    connector: TlsConnector,
    upstream: SocketAddr,
    running: HashMap<Party, Running>,
    tokens: Vec<String>,
}

impl Stage {
    pub async fn build(cores: Cores) -> Stage {
        let folder = TempDir::with_prefix_in("load-", target()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([OP.to_owned(), APP.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        let connector = connector(certificate.der().clone());
        let upstream = upstream::start().await;
        Stage { cores, folder, connector, upstream, running: HashMap::new(), tokens: Vec::new() }
    }

    /// The server of `party`, started if it does not run yet.
    pub async fn server(&mut self, party: Party) -> &Running {
        if !self.running.contains_key(&party) {
            let server = self.start(party).await;
            self.running.insert(party, server);
        }
        self.running.get(&party).unwrap()
    }

    /// A server of its own, which ends with the value.
    pub async fn start(&mut self, party: Party) -> Running {
        match party {
            Party::Ours => self.start_ours("ours", "off").await,
            Party::OursLogging => self.start_ours("logging", "{ file: access.log }").await,
            Party::Door | Party::Bare => {
                let answers = Box::pin(self.answers()).await;
                let arguments = yardstick::Arguments {
                    listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                    upstream: self.upstream,
                    certificate: self.path("cert.pem"),
                    key: self.path("key.pem"),
                    answers,
                    door: party == Party::Door,
                };
                party::start_yardstick(arguments, self.cores).await
            }
        }
    }

    async fn start_ours(&self, name: &str, access_log: &str) -> Running {
        let folder = self.path(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let config = include_str!("load.yaml")
            .replace("$CERT", &self.path("cert.pem").to_string_lossy())
            .replace("$KEY", &self.path("key.pem").to_string_lossy())
            .replace("$UPSTREAM", &self.upstream.to_string())
            .replace("$ACCESS_LOG", access_log);
        fs::write(folder.join("load.yaml"), config).unwrap();
        let digest = base64url(&sha256(SECRET.as_bytes()));
        let clients = format!(
            "clients:\n  - client_id: {CLIENT}\n    client_secret_sha256: {digest}\n    scope: api\n    \
             grant_types: [client_credentials]\n    response_types: []\n    redirect_uris: []\n"
        );
        fs::write(folder.join("clients.yaml"), clients).unwrap();
        party::start_ours(&folder, self.cores).await
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub async fn connect(&mut self, party: Party) -> Connection {
        let (connector, address) = (self.connector.clone(), self.server(party).await.address);
        Connection::open(&connector, address, APP).await
    }

    pub async fn connect_to(&self, server: &Running) -> Connection {
        Connection::open(&self.connector, server.address, APP).await
    }

    /// `count` access tokens of the provider that runs as `Ours`.
    pub async fn tokens(&mut self, count: usize) -> &[String] {
        let mut connection = self.connect(Party::Ours).await;
        while self.tokens.len() < count {
            let (status, body) = connection.ask(&token_request()).await;
            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let token =
                answer.get("access_token").and_then(serde_json::Value::as_str).filter(|_| status == 200);
            let token =
                token.unwrap_or_else(|| panic!("no token: {status} {}", String::from_utf8_lossy(&body)));
            self.tokens.push(token.to_owned());
        }
        self.tokens.get(..count).unwrap()
    }

    /// What the real binary answers, as files for the yardstick: the same number of bytes for both.
    async fn answers(&mut self) -> PathBuf {
        let folder = self.path("answers");
        if folder.is_dir() {
            return folder;
        }
        fs::create_dir(&folder).unwrap();
        let token = self.tokens(1).await.concat();
        let mut connection = self.connect(Party::Ours).await;
        for (name, request) in [
            ("401-no-token", get(APP, "/api/", None)),
            ("401-malformed", get(APP, "/api/", Some("not-a-token"))),
            ("200-token-signed", token_request()),
            ("200-introspection", introspection_request(&token)),
            ("200-discovery", get(OP, "/.well-known/openid-configuration", None)),
            ("200-jwks", get(OP, "/oidcop/jwks", None)),
        ] {
            let (status, body) = connection.ask(&request).await;
            assert!(name.starts_with(&status.to_string()), "{name}: {status} {body:?}");
            fs::write(folder.join(name), body).unwrap();
        }
        folder
    }
}

/// `target/` of this build.
pub fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

pub fn get(host: &str, path: &str, token: Option<&str>) -> Bytes {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{authorization}\r\n").into()
}

pub fn post(path: &str, body: &str) -> Bytes {
    let credentials = base64(format!("{CLIENT}:{SECRET}").as_bytes());
    format!(
        "POST {path} HTTP/1.1\r\nHost: {OP}\r\nAccept: */*\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

pub fn token_request() -> Bytes {
    post("/oidcop/token", TOKEN_BODY)
}

pub fn introspection_request(token: &str) -> Bytes {
    post("/oidcop/introspection", &introspection_body(token))
}

pub const TOKEN_BODY: &str = "grant_type=client_credentials&scope=api";

pub fn introspection_body(token: &str) -> String {
    format!("token={token}")
}
