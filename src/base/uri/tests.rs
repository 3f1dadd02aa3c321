//! Addresses as people and attackers write them.

use super::*;

#[test]
fn each_kind_of_redirect_uri_is_told_apart() {
    for (uri, kind) in [
        ("https://rp.example/cb", Redirect::Https),
        ("https://rp.example:8443/cb?a=b&c=%20d", Redirect::Https),
        ("https://127.0.0.1:8090/authz_cb/local", Redirect::Https),
        ("https://[2001:db8::1]/cb", Redirect::Https),
        ("https://xn--bcher-kva.example/cb", Redirect::Https),
        ("https://rp.example", Redirect::Https),
        ("https://RP.example/cb", Redirect::Https),
        ("http://127.0.0.1/cb", Redirect::Loopback),
        ("http://127.0.0.1:51004/cb", Redirect::Loopback),
        ("http://[::1]:51004/cb", Redirect::Loopback),
        ("http://localhost:3000/cb", Redirect::Loopback),
        ("http://rp.example/cb", Redirect::Http),
        ("http://localhost.evil.example/cb", Redirect::Http),
        ("http://127.0.0.2/cb", Redirect::Http),
        ("com.example.app:/oauth2redirect", Redirect::PrivateUse),
        ("com.example.app://callback", Redirect::PrivateUse),
    ] {
        assert_eq!(redirect(uri), Some(kind), "{uri}");
    }
}

#[test]
fn hostile_redirect_uris_cannot_be_registered() {
    for uri in [
        "",
        "rp.example/cb",
        "/cb",
        "//rp.example/cb",
        "https:rp.example/cb",
        "https:/rp.example/cb",
        "https:///cb",
        "https://",
        "https://rp.example/cb#",
        "https://rp.example/cb#frag",
        "https://rp.example@evil.example/cb",
        "https://user:pw@rp.example/cb",
        "https://rp.example\\@evil.example/cb",
        "https://rp.example\\.evil.example/cb",
        "https://rp.example/\tcb",
        "https://rp.example/\ncb",
        " https://rp.example/cb",
        "https://rp.example/cb ",
        "https://rp.example/c b",
        "https://rp.example/a/../cb",
        "https://rp.example/./cb",
        "https://rp.example/..",
        "https://rp.example/%2e%2e/cb",
        "https://rp.example/%2E./cb",
        "https://rp.example/.%2e",
        "https://rp%2eexample/cb",
        "https://bücher.example/cb",
        "https://rp。example/cb",
        "HTTPS://rp.example/cb",
        "https://rp.example./cb",
        "https://rp.example:/cb",
        "https://rp.example:099/cb",
        "https://rp.example:65536/cb",
        "https://rp.example:80a/cb",
        "https://0x7f.1/cb",
        "https://2130706433/cb",
        "https://127.1/cb",
        "https://[::ffff:127.0.0.1]/cb",
        "https://rp.example/\u{202e}cb",
        "https://rp.example/\0",
        "javascript:alert(1)",
        "javascript://rp.example/%0aalert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://rp.example/x",
        "about:blank",
        "mailto:a@b.example",
        "myapp:/cb",
        "com.example.app:",
        "com.example.app://",
        "com.example.app://user@host/cb",
        "1com.example:/cb",
        "*",
        "https://*",
        "https://*.rp.example/cb",
    ] {
        assert_eq!(redirect(uri), None, "{uri:?}");
    }
    assert_eq!(redirect(&format!("https://rp.example/{}", "a".repeat(MAX_URI))), None);
}

#[test]
fn a_redirect_uri_is_compared_text_for_text() {
    let registered = "https://rp.example/cb?a=1";
    assert!(same_redirect(registered, registered, false));
    for asked in [
        "https://rp.example/cb",
        "https://rp.example/cb?a=1&b=2",
        "https://rp.example/cb?a=1#",
        "https://rp.example/cb/?a=1",
        "https://rp.example:443/cb?a=1",
        "https://RP.example/cb?a=1",
        "https://rp.example/CB?a=1",
        "https://rp.example/%63b?a=1",
        "https://rp.example/x/../cb?a=1",
        "https://rp.example.evil.example/cb?a=1",
        "https://rp.example@evil.example/cb?a=1",
        "http://rp.example/cb?a=1",
        "https://rp.example/cb?a=1 ",
        "",
    ] {
        for free_ports in [false, true] {
            assert!(!same_redirect(registered, asked, free_ports), "{asked:?}");
        }
    }
}

#[test]
fn only_the_port_of_a_native_clients_loopback_uri_is_free() {
    for (registered, asked) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:1234/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:1234/cb", "http://127.0.0.1/cb"),
        ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
        ("http://localhost/cb", "http://localhost:65535/cb"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
    ] {
        assert!(same_redirect(registered, asked, true), "{asked}");
        assert!(!same_redirect(registered, asked, false), "{asked}");
    }
    let registered = "http://127.0.0.1/cb";
    for asked in [
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999999999999999999/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:80.evil.example/cb",
        "http://127.0.0.1:80\\@evil.example/cb",
        "http://127.0.0.1:80/cb/",
        "http://127.0.0.1:80/cb?x",
        "http://127.0.0.1:80/cb#",
        "https://127.0.0.1:80/cb",
        "http://localhost:80/cb",
        "http://[::1]:80/cb",
        "http://127.0.0.2:80/cb",
        "http://127.1:80/cb",
    ] {
        assert!(!same_redirect(registered, asked, true), "{asked}");
    }
    assert!(!same_redirect("https://127.0.0.1/cb", "https://127.0.0.1:8090/cb", true));
}

#[test]
fn origins_are_those_a_browser_would_send() {
    for (uri, expected) in [
        ("https://RP.example/cb", Some("https://rp.example")),
        ("https://rp.example:443/", Some("https://rp.example")),
        ("https://rp.example:8443/x?y#z", Some("https://rp.example:8443")),
        ("http://[::1]:80/", Some("http://[::1]")),
        ("com.example.app:/cb", None),
        ("javascript:alert(1)", None),
        ("null", None),
        ("https://rp.example\\@evil.example", None),
        ("file:///x", None),
    ] {
        assert_eq!(origin(uri).as_deref(), expected, "{uri}");
    }
    assert_eq!(host("https://rp.example:8443/cb").as_deref(), Some("rp.example"));
    assert_eq!(host("http://rp.example/cb"), None);
}

#[test]
fn loopback_hosts_are_recognised_however_they_are_written() {
    for host in ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST", "0x7f.1", "2130706433"] {
        assert!(is_loopback_host(host), "{host}");
    }
    for host in
        ["128.0.0.1", "[::2]", "localhost.evil.example", "evil.localhost.example", "", "127.0.0.1.example"]
    {
        assert!(!is_loopback_host(host), "{host}");
    }
}

proptest::proptest! {
    #[test]
    fn what_may_be_registered_reads_alike_for_everybody(
        scheme in proptest::sample::select(&["https://", "http://", "com.example.app:/", "javascript:", "", "//"][..]),
        rest in "([a-z0-9.:@/?&=%#\\\\ \\[\\]_-]|\\PC){0,40}",
    ) {
        let uri = format!("{scheme}{rest}");
        let Some(kind) = redirect(&uri) else { return Ok(()) };
        proptest::prop_assert!(!uri.contains(['#', '\\', ' ', '@']) || kind == Redirect::PrivateUse || !uri.contains('#'), "{uri}");
        let parsed = url::Url::parse(&uri).unwrap();
        proptest::prop_assert!(parsed.fragment().is_none() && parsed.username().is_empty(), "{uri}");
        proptest::prop_assert!(!["javascript", "data", "file", "vbscript", "blob"].contains(&parsed.scheme()), "{uri}");
        if kind != Redirect::PrivateUse {
            let host = parsed.host_str().unwrap();
            proptest::prop_assert!(uri.to_lowercase().contains(host), "{uri} goes to {host}");
            proptest::prop_assert!(parsed.path() == "/" || uri.contains(parsed.path()), "{uri} has the path {}", parsed.path());
        }
    }
}
