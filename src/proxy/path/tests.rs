//! The corpora of paths that are refused, that pass, and of what a lax reader makes of them.

use super::*;

const REFUSED: &[&str] = &[
    "",
    "x",
    "*",
    "//",
    "//api",
    "/a//b",
    "/a//",
    "///",
    "/./a",
    "/a/.",
    "/a/./b",
    "/..",
    "/../a",
    "/a/../b",
    "/a/..",
    "/%2e/a",
    "/%2E%2e/a",
    "/.%2e/a",
    "/a/%2e%2E",
    "/%61pi/",
    "/ap%69",
    "/%41",
    "/a%2Db",
    "/a%5Fb",
    "/a%7eb",
    "/a%30",
    "/a\\b",
    "/a%5cb",
    "/a%5Cb",
    "/a#b",
    "/a%00",
    "/a%0d%0aX:y",
    "/a%1f",
    "/a%7F",
    "/a b",
    "/a\tb",
    "/a\0b",
    "/a\x7fb",
    "/%",
    "/%2",
    "/%zz",
    "/%g0",
    "/a%",
    "/%25",
    "/a%252e",
    "/%2525",
    "/caf\u{e9}",
    "/%c0%ae%c0%ae/a",
    "/%c0%af",
    "/%e0%80%af",
    "/%f0%80%80%af",
    "/%c1%a1pi",
    "/%ff",
    "/%80",
    "/%ed%a0%80",
    "/a%2f..%2fb",
    "/a%2F%2Fb",
    "/a%2f",
    "/%2fa",
    "/a%2f.",
    "/..;/a",
    "/.;x/a",
    "/a/..;x=1/b",
    "/;/a",
    "/;x",
    "/a/;/b",
    "/a%2f..;%2fb",
    "/..%3b/a",
    "/%3ba",
    "https://x/a",
    "/a/\u{2025}/b",
];

#[test]
fn paths_that_could_be_read_in_two_ways_are_refused() {
    for path in REFUSED {
        assert!(check(path.as_bytes()).is_err(), "{path:?}");
    }
}

#[test]
fn paths_with_one_reading_pass_and_say_what_they_hold() {
    let plain = Checked::default();
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/v1/x",
        "/a.b",
        "/...",
        "/..a",
        "/.well-known/openid-configuration",
        "/a:b@c",
        "/a,b",
        "/a+b",
        "/a(b)",
        "/~user",
        "/a=b&c",
        "/a!$'*",
    ] {
        assert_eq!(check(path.as_bytes()), Ok(plain), "{path}");
    }
    let foldable = Checked { foldable: true, ..plain };
    for path in ["/API", "/caf%C3%A9", "/a%20b", "/%e2%82%ac", "/a%21", "/x/%F0%9F%98%80"] {
        assert_eq!(check(path.as_bytes()), Ok(foldable), "{path}");
    }
    assert_eq!(check(b"/a%2Fb"), Ok(Checked { encoded_slash: true, ..foldable }));
    for path in ["/a;x=1/b", "/a;", "/a%3Bx"] {
        assert_eq!(check(path.as_bytes()), Ok(Checked { semicolon: true, ..foldable }), "{path}");
    }
}

#[test]
fn a_folded_path_is_what_the_laxest_upstream_reads() {
    for (path, folded) in [
        ("/API/x", "/api/x"),
        ("/api;v=1/x", "/api/x"),
        ("/api%3Bv/x", "/api/x"),
        ("/a%2FB", "/a/b"),
        ("/a%21", "/a!"),
        ("/%C3%89", "/É"),
    ] {
        assert_eq!(fold(path, true), folded, "{path}");
    }
    assert_eq!(fold("/API%21", false), "/API!");
}

#[test]
fn a_prefix_ends_at_a_segment() {
    assert!(under("/api", "/api") && under("/api/", "/api") && under("/api/x", "/api"));
    assert!(under("/", "") && under("/x", ""));
    assert!(!under("/apix", "/api") && !under("/API", "/api") && !under("/ap", "/api"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_check_fail_and_what_passes_has_no_dots(bytes in proptest::collection::vec(0u8..=255, 0..40)) {
        let mut path = b"/".to_vec();
        path.extend(bytes);
        if check(&path).is_ok() {
            let folded = fold(std::str::from_utf8(&path).unwrap(), true);
            proptest::prop_assert!(!folded.split('/').any(|segment| segment == "." || segment == ".."));
            proptest::prop_assert!(!folded.contains('\\') && !folded.contains('\0'));
        }
    }
}
