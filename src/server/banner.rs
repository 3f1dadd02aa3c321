//! The greeting of a server that was started to be tried.

use crate::config::Config;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The file whose passwords everybody knows.
const DEMO_PEOPLE: &str = "conf/users.yaml";

/// What a person needs to take the first steps. `to_person`: whether it goes to a terminal; passwords, even these, are
/// written nowhere else.
pub fn text(
    config: &Config,
    listening: &[SocketAddr],
    whoami: Option<SocketAddr>,
    authority: Option<&Path>,
    to_person: bool,
) -> String {
    let mut out = String::new();
    let origin = match (&config.op, listening.first()) {
        (Some(op), _) => op.issuer.clone(),
        (None, Some(address)) => format!("https://{address}"),
        (None, None) => String::new(),
    };
    let _ = writeln!(out, "\noidcop-proxy {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<10} {value}");
    };
    for address in listening {
        line("listening", format!("https://{address}"));
    }
    if config.op.is_some() {
        line("issuer", format!("{origin} (discovery: {origin}/.well-known/openid-configuration)"));
        let people = config.op.as_ref().and_then(|op| op.users_file.as_deref());
        if people == Some(Path::new(DEMO_PEOPLE)) {
            let password = if to_person { ", password correct horse battery staple" } else { "" };
            line("people", format!("alice{password}; more in {DEMO_PEOPLE}"));
        }
    }
    if let Some(whoami) = whoami {
        line("upstream", format!("whoami at http://{whoami}, a demo of this program's own"));
    }
    let ca = authority.map(|path| path.display().to_string());
    if let Some(ca) = &ca {
        line(
            "trust",
            format!("{ca} is a development authority: curl --cacert {ca} …, or import it in the browser"),
        );
    }
    let curl = ca.map_or_else(|| "curl".to_owned(), |ca| format!("curl --cacert {ca}"));
    let _ = writeln!(
        out,
        "\nTry next\n  {curl} {origin}/public/hello\n  {curl} -i {origin}/api/hello\n  \
         {curl} {origin}/.well-known/openid-configuration\n"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    #[test]
    fn the_demo_login_is_for_people_only() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/quickstart.yaml");
        let shipped = std::fs::read_to_string(&file).unwrap();
        let config = load_text(&file, &shipped, &|_| None).unwrap().config;
        let address = SocketAddr::from(([127, 0, 0, 1], 8000));
        let said = |to_person| text(&config, &[address], None, Some(Path::new("certs/ca.pem")), to_person);
        assert!(said(true).contains("alice, password correct horse battery staple"));
        assert!(said(false).contains("alice") && !said(false).contains("correct horse"));
        assert!(said(false).contains("curl --cacert certs/ca.pem https://127.0.0.1:8000/public/hello"));
    }
}
