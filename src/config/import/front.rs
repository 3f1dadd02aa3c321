//! The front door: address and certificate of the old web server.

use super::Layout;
use super::draft::{Draft, path};
use super::source::At;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub fn translate(draft: &mut Draft<'_>, layout: &Layout<'_>) {
    listen(draft, layout);
    certificate(draft, layout);
}

fn listen(draft: &mut Draft<'_>, layout: &Layout<'_>) {
    let web = layout.outer.find(&["webserver"]);
    let (domain, port) =
        (web.as_ref().and_then(|at| at.find(&["domain"])), web.as_ref().and_then(|at| at.find(&["port"])));
    let host = domain.as_ref().and_then(At::text).unwrap_or(&layout.domain);
    let number = port.as_ref().and_then(At::seconds).and_then(|port| u16::try_from(port).ok());
    let number = number.or(layout.port).unwrap_or(443);
    let address = match host.trim_matches(['[', ']']) {
        "localhost" => Some(IpAddr::from(Ipv4Addr::LOCALHOST)),
        host => host.parse().ok(),
    };
    let chosen = SocketAddr::new(address.unwrap_or(IpAddr::from(Ipv4Addr::UNSPECIFIED)), number);
    if let Some(at) = port {
        draft.taken(&at, format!("`front.listen`: {chosen}"));
    }
    if let Some(at) = domain {
        match address {
            Some(_) => draft.taken(&at, format!("`front.listen`: {chosen}")),
            None => draft.changed(&at, format!("`front.listen`: {chosen}, since a listener has an address")),
        }
    }
    let listen = match draft.options.listen.is_empty() {
        true => vec![chosen.to_string()],
        false => draft.options.listen.iter().map(SocketAddr::to_string).collect(),
    };
    draft.front.insert("listen".into(), json!(listen));
}

fn certificate(draft: &mut Draft<'_>, layout: &Layout<'_>) {
    let web = layout.outer.find(&["webserver"]);
    let named = |name: &str| web.as_ref().and_then(|at| at.find(&[name]));
    let (cert, key) = (named("server_cert"), named("server_key"));
    let pair = match (&draft.options.certificate, &cert, &key) {
        (Some((own_cert, own_key)), ..) => {
            let (own_cert, own_key) = (own_cert.clone(), own_key.clone());
            for at in [&cert, &key].into_iter().flatten() {
                draft.ignored(at, "--cert and --key go before it");
            }
            Some((own_cert, own_key))
        }
        (None, Some(cert), Some(key)) => {
            let [cert_file, key_file] = [cert, key].map(|at| draft.beside(at.text().unwrap_or_default()));
            for (at, file) in [(cert, &cert_file), (key, &key_file)] {
                match file.is_file() {
                    true => draft.taken(at, format!("`front.tls.certificates`: {}", file.display())),
                    false => {
                        draft.faulty(at, format!("{} is not there: give --cert and --key", file.display()))
                    }
                }
            }
            (cert_file.is_file() && key_file.is_file()).then_some((cert_file, key_file))
        }
        _ => None,
    };
    let (cert, key) = pair.unwrap_or_else(|| {
        draft.own_certificate = true;
        draft.to_do.push(
            "no certificate was found: one of a development authority is made at the start (`demo.certificate`); \
             put yours into `front.tls.certificates`"
                .into(),
        );
        (draft.output("tls/dev.pem"), draft.output("tls/dev.key"))
    });
    let pair = json!([{ "cert": path(&cert), "key": path(&key) }]);
    draft.front.insert("tls".into(), json!({ "certificates": pair }));
}

/// `demo` of the configuration.
pub fn demo(draft: &Draft<'_>) -> Option<Value> {
    draft.own_certificate.then(|| json!({ "certificate": true }))
}
