//! What no single value shows: contradictions between settings, and what is allowed but hardly meant.

use super::Config;
use super::words::advice;

/// Every contradiction: the path as it is written in a fault, and what to do.
pub(super) fn contradictions(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    front(config, &mut found);
    server(config, &mut found);
    if config.demo.whoami.is_some() && config.upstreams.contains_key(super::WHOAMI) {
        let says = "`whoami` is the demo's own upstream: give this one another name, or remove `demo.whoami`";
        found.push(("upstreams.whoami".into(), says.into()));
    }
    let op = config.op.iter().flat_map(|op| op.faults());
    found.extend(op.map(|(path, says)| (format!("op.{path}"), says)));
    let edge = config.edge(config.demo.whoami);
    let upstreams: Vec<String> = edge.upstreams.keys().cloned().collect();
    found.extend(edge.faults(config.op.as_ref()).into_iter().map(|(path, says)| {
        let unknown = says.strip_prefix("there is no upstream `").and_then(|rest| rest.strip_suffix('`'));
        match unknown {
            Some(name) if !upstreams.is_empty() => {
                let advice = advice(name, &upstreams);
                (path, format!("{says}: {advice}"))
            }
            _ => (path, says),
        }
    }));
    found
}

fn front(config: &Config, found: &mut Vec<(String, String)>) {
    let front = &config.front;
    if front.listen.is_empty() {
        found.push(("front.listen".into(), "no address to listen on: name one, such as 0.0.0.0:443".into()));
    }
    if front.tls.certificates.is_empty() {
        let says =
            "no certificate: name its `cert` and `key` files (`oidcop-proxy dev-cert` makes some to try)";
        found.push(("front.tls.certificates".into(), says.into()));
    }
    let redirects = front.redirect.iter().flat_map(|redirect| redirect.listen.iter());
    for (nth, address) in redirects.enumerate() {
        if address.port() != 0 && front.listen.contains(address) {
            let says = format!("`{address}` is already listened on with TLS: take another port");
            found.push((format!("front.redirect.listen[{nth}]"), says));
        }
    }
    for (nth, address) in front.mtls.iter().flat_map(|mtls| mtls.listen.iter()).enumerate() {
        let redirects =
            front.redirect.as_ref().map(|redirect| redirect.listen.as_slice()).unwrap_or_default();
        if address.port() != 0 && (front.listen.contains(address) || redirects.contains(address)) {
            let says = format!("`{address}` is already listened on: take another port");
            found.push((format!("front.mtls.listen[{nth}]"), says));
        }
    }
    if front.mtls.as_ref().is_some_and(|mtls| mtls.listen.is_empty()) {
        found.push(("front.mtls.listen".into(), "name at least one address, such as 0.0.0.0:8443".into()));
    }
    if front.mtls.is_none() && config.op.as_ref().is_some_and(|op| op.mtls.is_some()) {
        let says = "no listener asks for client certificates: add `front.mtls`";
        found.push(("op.mtls".into(), says.into()));
    }
    for (nth, address) in front.listen.iter().enumerate() {
        if address.port() != 0 && front.listen.iter().take(nth).any(|other| other == address) {
            found.push((
                format!("front.listen[{nth}]"),
                format!("`{address}` is listed twice: keep one of them"),
            ));
        }
    }
}

fn server(config: &Config, found: &mut Vec<(String, String)>) {
    if let Some(admin) = config.server.admin
        && !admin.ip().is_loopback()
    {
        let says =
            format!("`{admin}` is not on loopback, and this listener asks for no credentials: use 127.0.0.1");
        found.push(("server.admin".into(), says));
    }
    if let Some(whoami) = config.demo.whoami
        && !whoami.ip().is_loopback()
    {
        let says =
            format!("`{whoami}` is not on loopback, and the demo shows whatever reaches it: use 127.0.0.1");
        found.push(("demo.whoami".into(), says));
    }
    // sun_path of unix(7) holds 108 bytes with its end.
    if config.server.control.as_os_str().len() > 100 {
        found.push((
            "server.control".into(),
            "a socket's path must not be longer than 100 bytes: shorten it".into(),
        ));
    }
}

/// What is allowed but hardly meant.
pub(super) fn warnings(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Some(op) = &config.op else { return found };
    let issuer = host(op.issuer.split_once("://").map_or("", |(_, rest)| rest));
    for (nth, route) in config.routes.iter().enumerate() {
        let shares = route.hosts.is_empty() || route.hosts.iter().any(|written| host(written) == issuer);
        // A page of the edge's own has no script in it that the operator did not put there.
        if shares && route.upstream.is_some() && !is_loopback(&issuer) {
            let says = format!(
                "this route shares the issuer's host `{issuer}`: a script of the app behind it could drive sign-in and \
                 consent; give the issuer a host of its own, and this route its `hosts`"
            );
            found.push((format!("routes[{nth}]"), says));
        }
    }
    found
}

/// Without port, path and case.
pub(super) fn host(written: &str) -> String {
    let authority = written.split('/').next().unwrap_or_default();
    let end =
        if authority.starts_with('[') { authority.find(']').map(|at| at + 1) } else { authority.find(':') };
    authority.get(..end.unwrap_or(authority.len())).unwrap_or_default().to_ascii_lowercase()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
