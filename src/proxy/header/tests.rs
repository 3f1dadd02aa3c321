//! Header hygiene: a corpus of forgeries, cookies and nominations.

use super::*;
use crate::base::clock::Timestamp;
use crate::op::{COOKIES, Facts, Life};
use crate::proxy::policy;
use std::sync::Arc;

fn request(fields: &[(&str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", b"/api", None).unwrap();
    for (name, value) in fields {
        request.append_header((*name).to_owned(), *value).unwrap();
    }
    request
}

fn facts(username: Option<&str>) -> Facts {
    Facts {
        client_id: "client-1".into(),
        subject: "Grüße 100%".into(),
        account: username.map(str::to_owned),
        username: username.map(str::to_owned),
        scope: vec!["api".into(), "read".into()],
        audience: vec![],
        jti: String::new(),
        family: None,
        sid: None,
        issued: Timestamp(0),
        expires: Timestamp(1),
        auth_time: None,
        acr: None,
        confirmation: Default::default(),
        authorization_details: Vec::new(),
        act: None,
        life: Life::root(),
    }
}

fn forwarded(request: &mut RequestHeader, names: &Names, permit: &Permit, pass: bool) {
    let told = Forwarded {
        names,
        permit,
        client: "192.0.2.1".parse().unwrap(),
        chain: None,
        authority: "a.example",
        request_id: "id-1",
        cookies: COOKIES,
        route_headers: &[(HeaderName::from_static("x-tenant"), HeaderValue::from_static("t1"))],
        pass_credentials: pass,
        templates: &[],
        token: None,
        trailers: false,
    };
    forward(request, &told).unwrap();
}

fn value<'a>(request: &'a RequestHeader, name: &str) -> Option<&'a str> {
    let mut values = request.headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap());
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

#[test]
fn nothing_a_caller_could_have_forged_reaches_an_upstream() {
    let names = Names::new(&Identity { subject: "X-User".into(), ..Identity::default() }).unwrap();
    let forged = [
        "X-Auth-Subject",
        "x-auth-subject",
        "X_Auth_Subject",
        "X-Auth_Subject",
        "x_auth-subject",
        "X-Auth-Client",
        "X_AUTH_SCOPE",
        "X-Auth-Username",
        "X-User",
        "X_User",
        "Forwarded",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Uri",
        "X-Forwarded-User",
        "X-Forwarded-Client-Cert",
        "X-Real-IP",
        "X_Real_IP",
        "X-Original-URL",
        "X-Original-URI",
        "X-Rewrite-URL",
        "X-Client-Cert",
        "X-Client-Cert-Subject",
        "X_Client_Certificate",
        "X-TLS-Client-Cert",
        "X-ARR-ClientCert",
        "X-Amzn-Mtls-Clientcert",
        "Client-Cert",
        "SSL-Client-Verify",
        "SSL_CLIENT_S_DN",
        "X-SSL-Client-CN",
        "Remote-User",
        "Remote_User",
        "True-Client-IP",
        "X-Client-IP",
        "X-HTTP-Method-Override",
        "Proxy",
        "X-Request-Id",
        "X_Request_Id",
    ];
    for name in forged {
        let mut request = request(&[(name, "evil"), (name, "evil"), ("X-Fine", "kept")]);
        forwarded(&mut request, &names, &policy::preflight(), false);
        let left =
            request.headers.iter().any(|(_, value)| value.as_bytes().windows(4).any(|part| part == b"evil"));
        assert!(!left, "{name}");
        assert_eq!(value(&request, "x-fine"), Some("kept"));
    }
}

#[test]
fn who_calls_is_told_from_the_permit_alone() {
    let names = Names::new(&Identity { username: String::new(), ..Identity::default() }).unwrap();
    let permit = Permit::for_tests(Arc::new(facts(Some("ada"))));
    let mut asked = request(&[
        ("X-Auth-Subject", "root"),
        ("X_Auth_Subject", "root"),
        ("X.Auth.Subject", "root"),
        ("X-Auth-Username", "root"),
        ("Authorization", "Bearer secret"),
    ]);
    forwarded(&mut asked, &names, &permit, false);
    for (name, expected) in [
        ("x-auth-subject", Some("Gr%C3%BC%C3%9Fe 100%25")),
        ("x-auth-client", Some("client-1")),
        ("x-auth-scope", Some("api read")),
        ("x-auth-username", None),
        ("x_auth_subject", None),
        ("x.auth.subject", None),
        ("authorization", None),
        ("x-forwarded-for", Some("192.0.2.1")),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-host", Some("a.example")),
        ("x-request-id", Some("id-1")),
        ("x-tenant", Some("t1")),
    ] {
        assert_eq!(value(&asked, name), expected, "{name}");
    }
    let mut asked = request(&[("Authorization", "Basic YTpi")]);
    forwarded(&mut asked, &names, &policy::preflight(), true);
    assert_eq!(value(&asked, "authorization"), Some("Basic YTpi"));
    assert_eq!(value(&asked, "x-auth-subject"), None);
}

#[test]
fn our_cookies_stay_here_and_crumbs_are_joined() {
    let names = Names::new(&Identity::default()).unwrap();
    for (lines, left) in [
        (vec!["a=1; b=2"], Some("a=1; b=2")),
        (vec!["a=1", "b=2", "c=3"], Some("a=1; b=2; c=3")),
        (vec!["a=1; __Host-oidcop_session=secret; b=2"], Some("a=1; b=2")),
        (vec!["__Host-oidcop_session=secret", "a=1"], Some("a=1")),
        (vec!["__HOST-oidcop_Session=secret;a=1"], Some("a=1")),
        (vec!["__Host-oidcop_session = secret; =__Host-oidcop_browser=secret"], None),
        (vec!["__Host-oidcop_session=secret; __Host-oidcop_browser=secret"], None),
        (vec!["x__Host-oidcop_session=1"], Some("x__Host-oidcop_session=1")),
        (vec!["; ;"], None),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("Cookie", *line)).collect();
        let mut asked = request(&fields);
        forwarded(&mut asked, &names, &policy::preflight(), false);
        assert_eq!(value(&asked, "cookie"), left, "{lines:?}");
    }
}

#[test]
fn an_upstream_cannot_set_our_cookies_or_say_what_it_is() {
    let mut response = ResponseHeader::build(200, None).unwrap();
    for (name, text) in [
        ("Server", "nginx"),
        ("X-Powered-By", "PHP"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "__Host-oidcop_session=evil; Path=/; Secure"),
        ("Set-Cookie", "__host-OIDCOP_browser = evil"),
        ("Set-Cookie", "=__Host-oidcop_session=evil"),
        ("Set-Cookie", "b=__Host-oidcop_session"),
        ("X-Request-Id", "theirs"),
    ] {
        response.append_header(name, text).unwrap();
    }
    let hsts = HeaderValue::from_static("max-age=1");
    backward(&mut response, COOKIES, "id-1", Some(&hsts)).unwrap();
    let cookies: Vec<_> =
        response.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=__Host-oidcop_session"]);
    assert!(!response.headers.contains_key("server") && !response.headers.contains_key("x-powered-by"));
    assert_eq!(response.headers["x-request-id"], "id-1");
    assert_eq!(response.headers["strict-transport-security"], "max-age=1");
}

#[test]
fn a_trusted_chain_is_continued_and_grpc_gets_its_trailers() {
    let names = Names::new(&Identity::default()).unwrap();
    let mut asked = request(&[("X-Forwarded-For", "evil")]);
    let permit = policy::preflight();
    let told = Forwarded {
        names: &names,
        permit: &permit,
        client: "198.51.100.1".parse().unwrap(),
        chain: Some("198.51.100.1, 10.0.0.1".into()),
        authority: "a.example:8443",
        request_id: "id",
        cookies: COOKIES,
        route_headers: &[],
        pass_credentials: false,
        templates: &[],
        token: None,
        trailers: true,
    };
    forward(&mut asked, &told).unwrap();
    assert_eq!(value(&asked, "x-forwarded-for"), Some("198.51.100.1, 10.0.0.1"));
    assert_eq!(value(&asked, "te"), Some("trailers"));
}

#[test]
fn names_that_are_ours_anyway_cannot_be_nominated() {
    for (lines, left) in [
        (vec!["close"], Some("close")),
        (vec!["keep-alive, x-auth-subject, x-forwarded-for"], Some("keep-alive, x-auth-subject")),
        (vec!["X-Forwarded-For", "Upgrade"], Some("Upgrade")),
        (vec!["Host , X-Forwarded-Proto"], None),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("Connection", *line)).collect();
        let mut asked = request(&fields);
        tame_connection(&mut asked).unwrap();
        assert_eq!(value(&asked, "connection"), left, "{lines:?}");
    }
}
