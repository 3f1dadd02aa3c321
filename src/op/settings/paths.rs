//! Where the provider answers: its mount, the documents whose paths are fixed, and what `paths` adds.

use super::Settings;
use super::faults::Found;
use crate::op::endpoint::{ENDPOINTS, Endpoint};
use std::collections::HashMap;

/// Endpoints whose paths the specifications fix.
const FIXED: [&str; 2] = ["configuration", "webfinger"];

impl Settings {
    /// The documents whose paths the specifications fix (RFC 8414 §3, §5, OpenID Connect Discovery §4, RFC 7033 §4).
    fn documents(&self) -> Vec<String> {
        let rest = self.issuer.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("");
        vec![
            format!("{path}/.well-known/openid-configuration"),
            format!("/.well-known/openid-configuration{path}"),
            format!("/.well-known/oauth-authorization-server{path}"),
            "/.well-known/webfinger".into(),
        ]
    }

    /// Whether the provider answers everything at `path` on its host, so that no route there is ever reached.
    pub fn answers_at(&self, path: &str) -> bool {
        let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        path == self.mount
            || below(&self.mount)
            || self.documents().iter().any(|document| document == path)
            || self.paths.iter().any(|(name, paths)| {
                let open = endpoint(name).is_some_and(|endpoint| endpoint.takes_rest());
                paths.iter().any(|own| own == path || open && below(own))
            })
    }

    pub(super) fn path_faults(&self, found: &mut Found) {
        let known: Vec<_> =
            ENDPOINTS.iter().map(|endpoint| endpoint.name()).filter(|name| !FIXED.contains(name)).collect();
        let mut taken: HashMap<String, String> = HashMap::new();
        taken.extend(
            self.documents().into_iter().map(|path| (path, "a document that has its place".to_owned())),
        );
        for name in known.iter().filter(|name| self.paths.get(**name).is_none_or(Vec::is_empty)) {
            taken.insert(format!("{}/{name}", self.mount), format!("`{name}`"));
        }
        for (name, paths) in &self.paths {
            if !known.contains(&name.as_str()) {
                let says = format!("is not an endpoint: known are {}", known.join(", "));
                found.push((format!("paths.{name}"), says));
            }
            for (nth, path) in paths.iter().enumerate() {
                let place = format!("paths.{name}[{nth}]");
                if !is_path(path) {
                    found.push((place, format!("`{path}` is not a path: begin with a slash")));
                } else if let Some(other) = taken.insert(path.clone(), format!("`{name}`")) {
                    found.push((place, format!("`{path}` is the path of {other} already")));
                }
            }
        }
    }
}

fn endpoint(name: &str) -> Option<&'static dyn Endpoint> {
    ENDPOINTS.iter().copied().find(|endpoint| endpoint.name() == name)
}

pub(super) fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.len() > 1
        && path.starts_with('/')
        && !path.ends_with('/')
        && !path.contains("//")
        && path.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::fixture::{op_with, send, settings};
    use crate::op::serve;
    use serde_json::json;

    fn faults(extra: &str) -> Vec<String> {
        settings(extra).faults().into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_path_is_one_endpoints_only() {
        assert_eq!(faults("paths: { token: [/oidcop/token, /token], userinfo: [/me] }"), [""; 0]);
        for (paths, place) in [
            ("{ token: [/t], userinfo: [/t] }", "paths.userinfo[0]"),
            ("{ token: [/t, /t] }", "paths.token[1]"),
            ("{ token: [/oidcop/userinfo] }", "paths.token[0]"),
            ("{ token: [/.well-known/webfinger] }", "paths.token[0]"),
            ("{ token: [/.well-known/openid-configuration] }", "paths.token[0]"),
            ("{ webfinger: [/w] }", "paths.webfinger"),
            ("{ token: [/t/] }", "paths.token[0]"),
            ("{ token: ['/a/../b?'] }", "paths.token[0]"),
        ] {
            assert_eq!(faults(&format!("paths: {paths}")), [place], "{paths}");
        }
        // What was left free may be taken.
        assert_eq!(faults("paths: { token: [/t], userinfo: [/oidcop/token] }"), [""; 0]);
    }

    #[tokio::test]
    async fn every_endpoint_answers_at_all_of_its_paths() {
        let names = || ENDPOINTS.iter().map(|endpoint| endpoint.name()).filter(|name| !FIXED.contains(name));
        let paths: serde_json::Map<_, _> = names()
            .map(|name| (name.to_owned(), json!([format!("/new/{name}"), format!("/old/{name}")])))
            .collect();
        let op = op_with(&json!({ "paths": paths }).to_string()).await;
        assert!(op.settings().faults().is_empty(), "{:?}", op.settings().faults());
        for endpoint in ENDPOINTS {
            for path in serve::paths(&op, *endpoint) {
                assert!(op.owns(&path) && op.settings().answers_at(&path), "{path}");
                // Whatever it says of such a request: that there is no such endpoint it does not say.
                let answer = send(&op, "PATCH", &path, &[]).await;
                assert_eq!(answer.status(), 405, "{path}");
                assert_eq!(op.owns(&format!("{path}/more")), endpoint.takes_rest(), "{path}");
                assert_eq!(
                    op.settings().answers_at(&format!("{path}/more")),
                    endpoint.takes_rest(),
                    "{path}"
                );
            }
        }
        let document = crate::op::endpoint::configuration::document(&op);
        assert_eq!(document["token_endpoint"], "https://op.example/new/token");
        assert_eq!(document["registration_endpoint"], "https://op.example/new/registration");
    }
}
