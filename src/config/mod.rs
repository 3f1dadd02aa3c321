//! Text to settings, and every fault with its place.
//!
//! Each layer owns its settings; here they are summed. Relative paths, in the configuration and in the files it names,
//! are relative to the working directory of the process.

mod fault;
pub mod import;
mod load;
mod locate;
mod path;
pub mod process;
mod recover;
mod schema;
mod semantic;
mod tree;
mod words;

pub use fault::{Fault, Faults};
pub use load::{Loaded, load, load_text};
pub use locate::Place;
pub use process::{Demo, Process};
pub use schema::{reference_md, schema_json};

use crate::proxy::Upstream;
use crate::proxy::settings::{ForwardAuth, Hsts, Identity, Limits, Route};
use crate::{base, op, proxy, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The upstream the demo serves.
const WHOAMI: &str = "whoami";

/// Everything an operator may say, as it is written. The edge's own settings stand at the top, beside the other rooms'.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "oidcop-proxy")]
pub struct Config {
    /// The front door: where it listens, certificates, connection limits.
    #[serde(default)]
    pub front: proxy::front::Settings,
    /// The OpenID Provider. Left out: an edge without one, whose routes are public or denied.
    #[serde(default)]
    pub op: Option<op::Settings>,
    /// Where requests go. The route with the longest matching `path` wins; the provider's own paths go before all of
    /// them. A request that no route matches gets 404.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The servers behind the edge, by name.
    #[serde(default)]
    pub upstreams: BTreeMap<String, Upstream>,
    /// Hosts answered for besides the issuer's and those of the routes. A request for any other host gets 421.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Networks of proxies in front of this one whose `X-Forwarded-For` and `X-Request-Id` are believed. From everybody
    /// else these headers are removed.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The headers in which an upstream learns who calls.
    #[serde(default)]
    pub identity: Identity,
    /// Caps that hold for every request.
    #[serde(default)]
    pub limits: Limits,
    /// How long browsers remember to use https only (Strict-Transport-Security); 0 = not sent. Never sent for
    /// `localhost` and for hosts that are addresses.
    #[serde(default)]
    pub hsts: Hsts,
    /// Paths at which another proxy asks whether a request may pass.
    #[serde(default)]
    pub forward_auth: Vec<ForwardAuth>,
    /// Where everything that must outlive a request is kept.
    #[serde(default)]
    pub store: store::Settings,
    /// Fetching what clients refer to.
    #[serde(default)]
    pub fetch: base::fetch::Settings,
    /// The process: threads, control socket, logs, stopping.
    #[serde(default)]
    pub server: Process,
    /// Things to try the edge with.
    #[serde(default)]
    pub demo: Demo,
}

impl Config {
    /// Every host that is named: the issuer's, those of the routes, and those answered for besides. Without ports.
    pub fn named_hosts(&self) -> Vec<String> {
        let issuer = self.op.iter().filter_map(|op| op.issuer.split_once("://").map(|(_, rest)| rest));
        let routes = self.routes.iter().flat_map(|route| route.hosts.iter().map(String::as_str));
        let mtls = self.op.iter().filter_map(|op| op.mtls.as_ref().map(op::settings::Mtls::host));
        let asked = self.forward_auth.iter().flat_map(|asked| asked.hosts.iter().map(String::as_str));
        let all = issuer.chain(mtls).chain(routes).chain(asked).chain(self.hosts.iter().map(String::as_str));
        let mut hosts: Vec<String> =
            all.map(|written| semantic::host(written).trim_matches(['[', ']']).to_owned()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// The edge's settings, with the demo's upstream at `whoami` among them.
    pub fn edge(&self, whoami: Option<SocketAddr>) -> proxy::Settings {
        let mut upstreams = self.upstreams.clone();
        if let Some(mut address) = whoami {
            // Until it is bound, port 0 stands for a port that is not known yet.
            if address.port() == 0 {
                address.set_port(1);
            }
            let written = serde_json::json!({ "addresses": [address.to_string()] });
            upstreams
                .extend(serde_json::from_value(written).ok().map(|upstream| (WHOAMI.to_owned(), upstream)));
        }
        proxy::Settings {
            routes: self.routes.clone(),
            upstreams,
            hosts: self.hosts.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            identity: self.identity.clone(),
            limits: self.limits,
            hsts: self.hsts,
            forward_auth: self.forward_auth.clone(),
        }
    }
}
