//! Clients that show a certificate, through `Op::handle`: who they are, and the tokens that are theirs alone.

use crate::base::certificate::holder;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::op::fixture::{body, header, op_with, peer, post_json, send};
use crate::op::record::client::{Client, Metadata};
use crate::op::token::fixture::{REDIRECT, SECRET, claims, client, error, give, grant, session, text};
use crate::op::{Op, Peer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::json;
use tempfile::TempDir;

const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// A provider with an authority of its own, and what that signs.
struct World {
    op: Op,
    ca: Issuer<'static, KeyPair>,
    _folder: TempDir,
}

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn params(name: &str) -> CertificateParams {
    let ia5 = |text: String| Ia5String::try_from(text).unwrap();
    let mut params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names.extend([
        SanType::URI(ia5(format!("urn:client:{name}"))),
        SanType::IpAddress(if name == "rp" { [192, 0, 2, 1] } else { [192, 0, 2, 2] }.into()),
        SanType::Rfc822Name(ia5(format!("{name}@example.org"))),
    ]);
    params
}

fn self_signed(name: &str) -> Bytes {
    params(name).self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec().into()
}

impl World {
    async fn new() -> World {
        let folder = TempDir::new().unwrap();
        let (ca, pem) = authority();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let mtls = json!({ "mtls": { "origin": "https://mtls.example:8443", "ca_file": file } });
        World { op: op_with(&mtls.to_string()).await, ca, _folder: folder }
    }

    fn signed(&self, name: &str) -> Bytes {
        let key = KeyPair::generate().unwrap();
        params(name).signed_by(&key, &self.ca).unwrap().der().to_vec().into()
    }

    /// Over a connection on which `certificate` was shown.
    async fn send(
        &self,
        certificate: Option<&Bytes>,
        path: &str,
        headers: &[(&str, &str)],
        pairs: &[(&str, &str)],
    ) -> Response<Bytes> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut request = Request::builder().method(if pairs.is_empty() { "GET" } else { "POST" }).uri(path);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Peer { certificate: certificate.cloned(), host: "mtls.example:8443".into(), ..peer() };
        self.op.handle(request.body(form.into()).unwrap(), &peer).await
    }

    async fn ask(&self, certificate: Option<&Bytes>, pairs: &[(&str, &str)]) -> Response<Bytes> {
        let all: Vec<_> = [("client_id", "rp")].iter().chain(pairs).copied().collect();
        self.send(certificate, "/oidcop/token", &[], &all).await
    }
}

fn by_certificate(method: &str, change: impl FnOnce(&mut Metadata)) -> impl FnOnce(&mut Client) {
    move |client| {
        client.secret_digest = None;
        client.metadata.token_endpoint_auth_method = method.into();
        change(&mut client.metadata);
    }
}

/// RFC 8705 §2.1.
#[tokio::test]
async fn a_client_is_who_its_authority_says_by_the_one_name_it_registered() {
    let world = World::new().await;
    let (good, other) = (world.signed("rp"), world.signed("other"));
    let (stranger, _) = authority();
    let key = KeyPair::generate().unwrap();
    let foreign: Bytes = params("rp").signed_by(&key, &stranger).unwrap().der().to_vec().into();
    let names: [fn(&mut Metadata); 5] = [
        |it| it.tls_client_auth_subject_dn = Some("CN=rp,C=DE".into()),
        |it| it.tls_client_auth_san_dns = Some("RP.example".into()),
        |it| it.tls_client_auth_san_uri = Some("urn:client:rp".into()),
        |it| it.tls_client_auth_san_ip = Some("192.0.2.1".into()),
        |it| it.tls_client_auth_san_email = Some("rp@example.org".into()),
    ];
    for name in names {
        client(&world.op, "rp", by_certificate("tls_client_auth", name)).await;
        assert_eq!(world.ask(Some(&good), &OWN).await.status(), StatusCode::OK);
        for wrong in [Some(&other), Some(&foreign), Some(&self_signed("rp")), None] {
            assert_eq!(error(&world.ask(wrong, &OWN).await), "invalid_client");
        }
        let secret = [("client_secret", SECRET), OWN[0]];
        assert_eq!(error(&world.ask(Some(&good), &secret).await), "invalid_client");
    }
    // None, or two: nobody is meant.
    for registered in [(None, None), (Some("CN=rp,C=DE"), Some("rp.example"))] {
        let change = |it: &mut Metadata| {
            it.tls_client_auth_subject_dn = registered.0.map(Into::into);
            it.tls_client_auth_san_dns = registered.1.map(Into::into);
        };
        client(&world.op, "rp", by_certificate("tls_client_auth", change)).await;
        assert_eq!(error(&world.ask(Some(&good), &OWN).await), "invalid_client");
    }
}

/// RFC 8705 §2.2.
#[tokio::test]
async fn a_client_is_who_holds_a_key_it_registered() {
    let world = World::new().await;
    let good = self_signed("anything");
    let key = holder(&good).unwrap().key.unwrap();
    let registers = |it: &mut Metadata| it.jwks = Some(json!({ "keys": [key] }));
    client(&world.op, "rp", by_certificate("self_signed_tls_client_auth", registers)).await;
    assert_eq!(world.ask(Some(&good), &OWN).await.status(), StatusCode::OK);
    for wrong in [Some(&self_signed("anything")), Some(&world.signed("rp")), None] {
        assert_eq!(error(&world.ask(wrong, &OWN).await), "invalid_client");
    }
}

#[tokio::test]
async fn a_certificate_in_a_header_is_no_certificate() {
    let world = World::new().await;
    let good = world.signed("rp");
    let named = |it: &mut Metadata| it.tls_client_auth_san_dns = Some("rp.example".into());
    client(&world.op, "rp", by_certificate("tls_client_auth", named)).await;
    let text = crate::base::encode::base64(&good);
    for name in
        ["client-cert", "x-client-cert", "x-ssl-client-cert", "x-forwarded-client-cert", "ssl-client-cert"]
    {
        let pairs = [("client_id", "rp"), OWN[0]];
        let refused = world.send(None, "/oidcop/token", &[(name, &text)], &pairs).await;
        assert_eq!(error(&refused), "invalid_client", "{name}");
    }
}

/// RFC 8705 §3.
#[tokio::test]
async fn a_token_bound_to_a_certificate_is_used_with_that_certificate() {
    let world = World::new().await;
    let op = &world.op;
    client(op, "rp", |client| client.metadata.tls_client_certificate_bound_access_tokens = true).await;
    let sid = session(op, "diana").await;
    let code = give(op, grant(op, "rp", &sid, "openid")).await.unwrap().code.unwrap();
    let pairs = [
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
    ];
    assert_eq!(error(&world.ask(None, &pairs).await), "invalid_request", "there is nothing to bind it to");
    let own = self_signed("rp");
    let answer = body(&world.ask(Some(&own), &pairs).await);
    let token = text(&answer, "access_token");
    assert_eq!(text(&answer, "token_type"), "Bearer");
    assert_eq!(claims(op, token)["cnf"], json!({ "x5t#S256": base64url(&sha256(&own)) }));
    let bearer = format!("Bearer {token}");
    let show = async |shown| world.send(shown, "/oidcop/userinfo", &[("authorization", &bearer)], &[]).await;
    assert_eq!(show(Some(&own)).await.status(), StatusCode::OK);
    for wrong in [None, Some(&self_signed("rp"))] {
        let refused = show(wrong).await;
        assert_eq!(error(&refused), "invalid_token");
        assert!(header(&refused, "www-authenticate").starts_with("Bearer "));
    }
}

/// RFC 8705 §4.
#[tokio::test]
async fn a_public_clients_refresh_token_is_bound_to_its_certificate() {
    let world = World::new().await;
    let op = &world.op;
    let bound = |it: &mut Metadata| it.tls_client_certificate_bound_access_tokens = true;
    client(op, "rp", by_certificate("none", bound)).await;
    let sid = session(op, "diana").await;
    let verifier = "a-verifier-of-at-least-forty-three-characters-0";
    let mut grant = grant(op, "rp", &sid, "openid offline_access");
    grant.code_challenge = Some(base64url(&sha256(verifier.as_bytes())));
    let code = give(op, grant).await.unwrap().code.unwrap();
    let own = self_signed("rp");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
    ];
    let answer = body(&world.ask(Some(&own), &pairs).await);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&answer, "refresh_token"))];
    assert_eq!(error(&world.ask(Some(&self_signed("rp")), &refresh).await), "invalid_grant");
    assert_eq!(world.ask(Some(&own), &refresh).await.status(), StatusCode::OK);
}

/// RFC 8705 §3.3, §5.
#[tokio::test]
async fn what_is_said_of_certificates_is_said_where_they_are_asked_for() {
    let world = World::new().await;
    let at = "/.well-known/openid-configuration";
    let said = body(&send(&world.op, "GET", at, &[]).await);
    let aliases = said["mtls_endpoint_aliases"].as_object().unwrap();
    for member in ["token_endpoint", "userinfo_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        let own = said[member].as_str().unwrap().replace("https://op.example", "https://mtls.example:8443");
        assert_eq!(aliases[member], own);
    }
    assert!(
        !aliases.contains_key("authorization_endpoint") && !aliases.contains_key("registration_endpoint")
    );
    assert_eq!(said["tls_client_certificate_bound_access_tokens"], true);
    let offered = |said: &serde_json::Value, method: &str| {
        let methods = said["token_endpoint_auth_methods_supported"].as_array().unwrap().clone();
        methods.contains(&json!(method))
    };
    assert!(offered(&said, "tls_client_auth") && offered(&said, "self_signed_tls_client_auth"));
    assert!(world.op.owns_at_mtls("/oidcop/token") && !world.op.owns_at_mtls("/oidcop/authorization"));
    let without = op_with("{}").await;
    let said = body(&send(&without, "GET", at, &[]).await);
    assert!(said.get("mtls_endpoint_aliases").is_none());
    assert!(!offered(&said, "tls_client_auth") && !offered(&said, "self_signed_tls_client_auth"));
    assert!(!without.owns_at_mtls("/oidcop/token"));
}

#[tokio::test]
async fn what_a_client_registers_of_certificates_must_mean_one_of_them() {
    let world = World::new().await;
    let register = async |op: &Op, more: serde_json::Value| {
        let mut all = json!({ "redirect_uris": ["https://rp.example/cb"] });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post_json(op, "POST", "/oidcop/registration", &[], &all).await
    };
    let tls = |more: serde_json::Value| {
        let mut all = json!({ "token_endpoint_auth_method": "tls_client_auth" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let good = tls(json!({ "tls_client_auth_subject_dn": "CN=rp,C=DE" }));
    let answer = register(&world.op, good.clone()).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", body(&answer));
    assert_eq!(body(&answer)["tls_client_auth_subject_dn"], "CN=rp,C=DE");
    for bad in [
        tls(json!({})),
        tls(json!({ "tls_client_auth_subject_dn": "CN=rp", "tls_client_auth_san_dns": "rp.example" })),
        tls(json!({ "tls_client_auth_subject_dn": "nobody" })),
        tls(json!({ "tls_client_auth_san_ip": "rp.example" })),
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" }),
    ] {
        assert_eq!(error(&register(&world.op, bad.clone()).await), "invalid_client_metadata", "{bad}");
    }
    let without = op_with("{}").await;
    for refused in [good, json!({ "tls_client_certificate_bound_access_tokens": true })] {
        assert_eq!(error(&register(&without, refused).await), "invalid_client_metadata");
    }
}
