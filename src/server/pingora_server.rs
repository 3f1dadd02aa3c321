//! pingora's server with our services in it: the front door, and the redirect from port 80.

use super::running::Running;
use crate::config::Config;
use crate::proxy::{self, front};
use pingora::prelude::Server;
use pingora::server::configuration::ServerConf;
use std::sync::Arc;

/// Longer than any grace of ours: pingora's own end must never come first. In seconds.
const PINGORA_GRACE: u64 = 30 * 86_400;

pub fn build(running: &Arc<Running>, settings: &front::Settings) -> Server {
    let mut server = Server::new_with_opt_and_conf(None, conf(running.started()));
    server.bootstrap();
    let proxy = Arc::new(proxy::http_proxy(&server.configuration, running.edge().clone()));
    let mtls = front::mtls_service(proxy.clone(), running.door().clone(), settings);
    server.add_service(front::service(proxy, running.door().clone(), settings));
    if let Some(mtls) = mtls {
        server.add_service(mtls);
    }
    if let Some(redirect) = &settings.redirect {
        let asked = running.clone();
        let port = redirect.port;
        let known = Arc::new(move |host: &str| asked.knows(host, port));
        server.add_service(front::RedirectApp::service(redirect, &settings.limits, known));
    }
    server
}

fn conf(config: &Config) -> ServerConf {
    let threads = match config.server.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => usize::from(threads),
    };
    let beside = |name: &str| config.server.control.with_file_name(name).to_string_lossy().into_owned();
    ServerConf {
        threads,
        grace_period_seconds: Some(PINGORA_GRACE),
        // Both unused; their defaults lie in /tmp, where anybody could put something.
        upgrade_sock: beside("upgrade.sock"),
        pid_file: beside("pingora.pid"),
        ..ServerConf::default()
    }
}
