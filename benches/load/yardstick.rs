//! Bare pingora as a child process: it forwards everything to the upstream, answers a file's bytes, or signs once and
//! then answers. No policy, no headers added, no log. It ends with its parent.

use async_trait::async_trait;
use bytes::Bytes;
use oidcop_proxy::base::clock::Clock;
use oidcop_proxy::proxy::front::{self, Door};
use pingora::http::ResponseHeader;
use pingora::listeners::tls::TlsSettings;
use pingora::modules::http::HttpModules;
use pingora::proxy::{ProxyHttp, Session, http_proxy, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args, Clone)]
pub struct Arguments {
    #[arg(long)]
    pub listen: SocketAddr,
    #[arg(long)]
    pub upstream: SocketAddr,
    #[arg(long)]
    pub certificate: PathBuf,
    #[arg(long)]
    pub key: PathBuf,
    /// A folder of answers: the file `401-no-token` is the body of `/401-no-token`, and its status begins its name.
    #[arg(long)]
    pub answers: PathBuf,
    /// Listen by our front door instead of pingora's TLS listener.
    #[arg(long)]
    pub door: bool,
}

impl Arguments {
    /// As words of a command line.
    pub fn words(&self) -> Vec<String> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut words: Vec<String> = [
            ("--listen", self.listen.to_string()),
            ("--upstream", self.upstream.to_string()),
            ("--certificate", path(&self.certificate)),
            ("--key", path(&self.key)),
            ("--answers", path(&self.answers)),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        words.extend(self.door.then(|| "--door".to_owned()));
        words
    }
}

struct Answer {
    status: u16,
    body: Bytes,
    /// Whether an ES256 signature comes first.
    signed: bool,
}

struct Yardstick {
    upstream: SocketAddr,
    answers: HashMap<String, Answer>,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Yardstick {
    fn new(arguments: &Arguments) -> Yardstick {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let mut answers = HashMap::new();
        for entry in fs::read_dir(&arguments.answers).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let status = name.split('-').next().and_then(|status| status.parse().ok()).unwrap();
            let body = Bytes::from(fs::read(entry.path()).unwrap());
            answers.insert(format!("/{name}"), Answer { status, body, signed: name.ends_with("-signed") });
        }
        Yardstick { upstream: arguments.upstream, answers, key, random }
    }
}

#[async_trait]
impl ProxyHttp for Yardstick {
    type CTX = ();
    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, _: &mut ()) -> pingora::Result<()> {
        front::head_done(&session.downstream_session);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, _: &mut ()) -> pingora::Result<bool> {
        let Some(answer) = self.answers.get(session.req_header().uri.path()) else { return Ok(false) };
        while session.downstream_session.read_request_body().await?.is_some() {}
        if answer.signed {
            std::hint::black_box(self.key.sign(&self.random, &answer.body).unwrap());
        }
        let mut head = ResponseHeader::build(answer.status, Some(2))?;
        head.insert_header("Content-Type", "application/json")?;
        head.insert_header("Content-Length", answer.body.len())?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(answer.body.clone()), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn logging(&self, session: &mut Session, _: Option<&pingora::Error>, _: &mut ()) {
        front::request_done(&session.downstream_session);
    }
}

/// Serves until the parent is gone.
pub fn run(arguments: &Arguments) -> ! {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let conf = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let yardstick = Yardstick::new(arguments);
    let (certificate, key) = (arguments.certificate.to_str().unwrap(), arguments.key.to_str().unwrap());
    if arguments.door {
        let settings: front::Settings = serde_json::from_value(serde_json::json!({
            "listen": [arguments.listen],
            "tls": { "certificates": [{ "cert": certificate, "key": key }] },
        }))
        .unwrap();
        let door = Door::new(&settings, Clock::system().now()).unwrap_or_else(|faults| panic!("{faults:?}"));
        server.add_service(front::service(
            Arc::new(http_proxy(&server.configuration, yardstick)),
            door,
            &settings,
        ));
    } else {
        let mut service = http_proxy_service(&server.configuration, yardstick);
        let tls = TlsSettings::intermediate(certificate, key).unwrap();
        service.add_tls_with_settings(&arguments.listen.to_string(), None, tls);
        server.add_service(service);
    }
    server.run_forever()
}
