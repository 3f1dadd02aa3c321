//! Client certificates over real handshakes: only the listener that asks for them sees any. RFC 8705.

use super::*;
use crate::base::certificate::holder;
use rustls::pki_types::PrivateKeyDer;

/// The authority of the provider's endpoints there.
const MTLS: &str = "op.example:9443";

/// A certificate that nobody signed, and its key.
struct Card(CertificateDer<'static>, Vec<u8>);

impl Card {
    fn new() -> Card {
        let key = KeyPair::generate().unwrap();
        let made =
            CertificateParams::new(vec!["client.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        Card(made.der().clone(), key.serialize_der())
    }
}

/// One request for `host` on a connection of its own to `address`, on which `card` is shown if somebody asks.
async fn ask(
    house: &House,
    address: SocketAddr,
    card: Option<&Card>,
    host: &str,
    request: (&str, &[&str], &str),
) -> Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&house.certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match card {
        None => config.with_no_client_auth(),
        Some(Card(certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.clone()).unwrap();
            config.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
        }
    };
    let tcp = TcpStream::connect(address).await.unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(HOST.try_into().unwrap(), tcp).await.unwrap();
    let (line, lines, body) = request;
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
    );
    tls.write_all(text.as_bytes()).await.unwrap();
    Answer::read(&mut tls).await
}

async fn house() -> House {
    let mtls = json!({ "origin": format!("https://{MTLS}") });
    House::with(json!({ "registration": "open", "mtls": mtls })).await
}

/// Registers a client that is known by the key of `card` and wants bound tokens; its id.
async fn register(house: &House, card: &Card) -> String {
    let metadata = json!({
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": { "keys": [holder(&card.0).unwrap().key.unwrap()] },
        "grant_types": ["client_credentials"],
        "response_types": [],
        "scope": "api",
        "tls_client_certificate_bound_access_tokens": true,
    });
    let json = "Content-Type: application/json";
    let answer = house.ask("POST /oidcop/registration", &[json], &metadata.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_certificate_counts_on_the_connection_it_was_shown_on_and_nowhere_else() {
    let house = house().await;
    let (own, other) = (Card::new(), Card::new());
    let id = register(&house, &own).await;
    let form = format!("grant_type=client_credentials&scope=api&client_id={id}");
    let token = ("POST /oidcop/token", [FORM].as_slice(), form.as_str());
    let answer = ask(&house, house.mtls, Some(&own), MTLS, token).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let granted = answer.json()["access_token"].as_str().unwrap().to_owned();
    let text = crate::base::encode::base64(&own.0);
    let forged: Vec<String> = ["Client-Cert", "X-Client-Cert", "X-SSL-Client-Cert", "X-SSL-Cert"]
        .map(|name| format!("{name}: {text}"))
        .into();
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    let lines: Vec<&str> = [FORM].iter().chain(&forged).copied().collect();
    for (address, card, host) in [
        (house.mtls, Some(&other), MTLS),
        (house.mtls, None, MTLS),
        (house.address, Some(&own), HOST),
        (house.address, Some(&own), MTLS),
        (house.address, None, HOST),
    ] {
        let answer = ask(&house, address, card, host, ("POST /oidcop/token", &lines, &form)).await;
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{host}");
    }

    let bearer = format!("Authorization: Bearer {granted}");
    let lines: Vec<&str> = [bearer.as_str()].iter().chain(&forged).copied().collect();
    let answer = ask(&house, house.mtls, Some(&own), MTLS, ("GET /api/x", &lines, "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let seen = answer.text.to_lowercase();
    assert!(seen.contains(&format!("x-auth-client: {}", id.to_lowercase())), "{seen}");
    assert!(!seen.contains("client-cert") && !seen.contains("x-ssl"), "{seen}");
    for (address, card, host) in [
        (house.mtls, Some(&other), MTLS),
        (house.mtls, None, MTLS),
        (house.address, Some(&own), HOST),
        (house.address, None, HOST),
    ] {
        let answer = ask(&house, address, card, host, ("GET /api/x", &lines, "")).await;
        assert_eq!(answer.status, 401, "{host}: {}", answer.text);
        assert!(answer.head.contains("error=\"invalid_token\""), "{}", answer.head);
    }
    let bound = ask(&house, house.mtls, Some(&own), MTLS, ("GET /bound/x", &lines, "")).await;
    assert_eq!(bound.status, 200, "a certificate binds as well as a key does");

    // A proxy that asks shows its own certificate: it proves nothing of its client, even if it is the same.
    let mut written = settings(house.upstream.address);
    written["forward_auth"] =
        json!([{ "path": "/auth", "trusted": ["127.0.0.1/32"], "original": "forwarded" }]);
    house.edge.reload(&serde_json::from_value(written).unwrap(), Some(house.op.clone())).unwrap();
    let host = format!("X-Forwarded-Host: {HOST}");
    let asking = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /api/x", host.as_str(), bearer.as_str()];
    let answer = ask(&house, house.mtls, Some(&own), MTLS, ("GET /auth", &asking, "")).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
}

/// RFC 8705 §5: the provider's pages are for browsers, which would be asked.
#[tokio::test]
async fn where_certificates_are_asked_for_there_are_endpoints_and_no_pages() {
    let house = house().await;
    for (path, ours) in
        [("/oidcop/token", true), ("/oidcop/userinfo", true), ("/oidcop/authorization", false)]
    {
        let answer = ask(&house, house.mtls, None, MTLS, (&format!("GET {path}"), &[], "")).await;
        // What is not the provider's is the edge's own page at `/`.
        assert_eq!(!answer.text.contains("Welcome"), ours, "{path}: {}", answer.text);
    }
    let stranger = ask(&house, house.mtls, None, "op.example:9444", ("GET /oidcop/token", &[], "")).await;
    assert_eq!(stranger.status, 421);
    // Somebody without a certificate is served as everywhere.
    assert_eq!(ask(&house, house.mtls, None, HOST, ("GET /", &[], "")).await.status, 200);
}
