//! What a reload may not change: a listener, the store, the threads. Each is refused by name, and nothing of the new
//! configuration is taken over then.

use crate::config::Config;

/// The settings that differ and need a restart, by path.
pub fn needs_restart(started: &Config, new: &Config) -> Vec<&'static str> {
    let (was, is) = (&started.server, &new.server);
    let key_file = |config: &Config| config.op.as_ref().and_then(|op| op.at_rest_key_file.clone());
    let redirect = |config: &Config| config.front.redirect.as_ref().map(|redirect| redirect.listen.clone());
    let changed = [
        ("front.listen", started.front.listen != new.front.listen),
        ("front.redirect", redirect(started) != redirect(new)),
        ("front.mtls", started.front.mtls != new.front.mtls),
        ("store", started.store != new.store),
        ("fetch", started.fetch != new.fetch),
        ("op", started.op.is_some() != new.op.is_some()),
        (
            "op.at_rest_key_file",
            started.op.is_some() && new.op.is_some() && key_file(started) != key_file(new),
        ),
        ("server.threads", was.threads != is.threads),
        ("server.control", was.control != is.control),
        ("server.admin", was.admin != is.admin),
        ("server.access_log", was.access_log != is.access_log),
        ("server.audit_log", was.audit_log != is.audit_log),
        ("server.log.format", was.log.format != is.log.format),
        ("server.pid_file", was.pid_file != is.pid_file),
        ("demo.whoami", started.demo.whoami != new.demo.whoami),
    ];
    changed.into_iter().filter_map(|(path, differs)| differs.then_some(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn config(text: &str) -> Config {
        let text = format!("front: {{ tls: {{ certificates: [{{ cert: a, key: b }}] }} }}\n{text}");
        load_text(std::path::Path::new("x.yaml"), &text, &|_| None).unwrap().config
    }

    #[test]
    fn what_needs_a_restart_is_refused_by_name() {
        let started = config("");
        assert_eq!(needs_restart(&started, &started), Vec::<&str>::new());
        for (text, names) in [
            ("server: { threads: 2, control: other.sock }", vec!["server.threads", "server.control"]),
            ("server: { admin: '127.0.0.1:9' }", vec!["server.admin"]),
            ("server: { audit_log: x }", vec!["server.audit_log"]),
            ("server: { log: { format: json } }", vec!["server.log.format"]),
            ("server: { log: { level: debug }, drain: { grace: 1s } }", vec![]),
            ("store: { embedded: { path: x } }", vec!["store"]),
            ("fetch: { timeout: 9s }", vec!["fetch"]),
            ("op: { issuer: 'https://a.example' }", vec!["op"]),
            ("demo: { whoami: '127.0.0.1:1' }", vec!["demo.whoami"]),
        ] {
            assert_eq!(needs_restart(&started, &config(text)), names, "{text}");
        }
        let mut other = started.clone();
        other.front.listen = vec!["127.0.0.1:1".parse().unwrap()];
        assert_eq!(needs_restart(&started, &other), ["front.listen"]);
    }
}
