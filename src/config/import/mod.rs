//! Coming from oidc-op: its configuration, people, clients, keys and subjects as ours, and a report of every key that was
//! met. Pure but for reading the old files; sessions and tokens of the old provider are not taken.

mod claims;
mod clients;
mod django;
mod draft;
mod front;
mod keys;
mod known;
mod people;
mod provider;
mod report;
mod source;
mod subjects;
#[cfg(test)]
mod tests;
mod write;

pub use draft::Made;
pub use report::{Line, Outcome, Report};
pub use write::write;

use crate::base::clock::Timestamp;
use crate::base::random::Random;
use crate::op;
use draft::Draft;
use serde_json::{Map, Value};
use source::{At, Document};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The configuration among the files that are made.
pub const CONFIGURATION: &str = "oidcop-proxy.yaml";

/// What to read, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The old configuration: JSON or YAML.
    pub source: PathBuf,
    /// The folder the old provider ran in: its relative paths start there.
    pub base: PathBuf,
    /// Where ours will be; an absolute path.
    pub out: PathBuf,
    /// Django's tables, as `manage.py dumpdata` printed them.
    pub dumps: Vec<PathBuf>,
    /// Client databases besides the one the configuration names: files, or folders with a file for each client.
    pub clients: Vec<PathBuf>,
    /// Maps from user name to claims, besides.
    pub users: Vec<PathBuf>,
    /// Maps from user name to password, besides.
    pub passwords: Vec<PathBuf>,
    /// Certificate and key, if not the web server's.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Addresses to listen on, if not the web server's.
    pub listen: Vec<SocketAddr>,
    /// Whether secrets that have expired become good again.
    pub expired_secrets: bool,
    /// Passwords are not hashed: nothing will be written.
    pub dry_run: bool,
    pub now: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Import {
    pub files: Vec<Made>,
    pub report: Report,
    /// What the operator has to do themselves.
    pub to_do: Vec<String>,
}

/// Where things are in an old configuration.
struct Layout<'a> {
    /// The file's own keys: `webserver`, `domain`, `port` …
    outer: At<'a>,
    /// `server_info`.
    info: At<'a>,
    domain: String,
    port: Option<u16>,
}

impl<'a> Layout<'a> {
    /// flask_op's file, Django's settings, or `server_info` alone. `None`: it is none of them.
    fn find(document: &'a Document) -> Option<Layout<'a>> {
        let top = document.top();
        let outer = top.find(&["OIDCOP_CONFIG"]).unwrap_or(top);
        let ways: [&[&str]; 4] = [&["op", "server_info"], &["server_info"], &["op"], &[]];
        let is_it = |at: &At<'_>| at.get("issuer").is_some() || at.get("endpoint").is_some();
        let info = ways.iter().filter_map(|way| outer.find(way)).find(is_it)?;
        let either = |name: &str| {
            outer.find(&[name]).or_else(|| outer.find(&["webserver", name])).or_else(|| info.find(&[name]))
        };
        let domain = either("domain").and_then(|at| at.text().map(str::to_owned));
        let port = either("port").and_then(|at| u16::try_from(at.seconds()?).ok());
        Some(Layout { domain: domain.unwrap_or_else(|| "127.0.0.1".into()), port, outer, info })
    }

    /// `{domain}` and `{port}` filled in.
    fn expand(&self, text: &str) -> String {
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        text.replace("{domain}", &self.domain).replace("{port}", &port)
    }
}

/// Reads everything and makes our files in memory.
///
/// # Errors
/// Nothing usable: the file cannot be read, or is no configuration of oidc-op, or names no issuer we can be.
pub fn oidc_op(options: &Options, random: &Random) -> Result<Import, String> {
    let named = |says: String| format!("{}: {says}", options.source.display());
    let document = Document::read(&options.source).map_err(named)?;
    let layout = Layout::find(&document).ok_or_else(|| {
        named(
            "is no configuration of oidc-op: there is no op.server_info with an issuer and endpoints".into(),
        )
    })?;
    let mut draft = Draft {
        options,
        random,
        report: Report::default(),
        front: Map::new(),
        op: Map::new(),
        files: Vec::new(),
        own_certificate: false,
        to_do: Vec::new(),
    };
    provider::translate(&mut draft, &layout);
    claims::translate(&mut draft, &layout.info);
    let settings = settings(&draft).map_err(named)?;
    front::translate(&mut draft, &layout);
    keys::translate(&mut draft, &layout.info);
    let public = subjects::translate(&mut draft, &layout.info);
    let dump = django::read(&mut draft, &options.dumps);
    people::translate(&mut draft, &layout.info, dump.as_ref(), &public);
    let mut records = clients::Records::new();
    clients::gather(&mut draft, &layout.info, &mut records);
    dump.iter().for_each(|dump| django::clients(dump, &mut records));
    clients::translate(&mut draft, &layout.info, &settings, records);
    complete(&mut draft, &document, &layout);
    let configuration = Made { name: CONFIGURATION, text: write::configuration(&draft) };
    draft.files.insert(0, configuration);
    Ok(Import { files: draft.files, report: draft.report.sorted(), to_do: draft.to_do })
}

/// The provider's settings so far: what clients are checked against.
fn settings(draft: &Draft<'_>) -> Result<op::Settings, String> {
    if !draft.op.contains_key("issuer") {
        return Err("names no issuer: there is nothing to take the place of".into());
    }
    let settings: op::Settings =
        serde_json::from_value(Value::Object(draft.op.clone())).map_err(|error| error.to_string())?;
    match settings.faults().into_iter().next() {
        None => Ok(settings),
        Some((path, says)) => Err(format!("gives `op.{path}`, which {says}")),
    }
}

/// Names the keys that were not looked at, each by what is known of it.
fn complete(draft: &mut Draft<'_>, document: &Document, layout: &Layout<'_>) {
    let below = |path: &str, key: &str| match path.is_empty() {
        true => Some(key.to_owned()),
        false => key.strip_prefix(path)?.strip_prefix('.').map(str::to_owned),
    };
    let (inner, outer) = (layout.info.path.clone(), layout.outer.path.clone());
    draft.report.complete(document, |key| {
        let of_info = below(&inner, key).and_then(|key| known::inner(&key));
        let of_outer = || below(&outer, key).and_then(|key| known::outer(&key));
        // Django's other settings are not about this.
        let of_django = || {
            let settings = !outer.is_empty() && below(&outer, key).is_none();
            settings.then_some((Outcome::Ignored, "is a setting of Django's"))
        };
        of_info.or_else(of_outer).or_else(|| known::outer(key)).or_else(of_django)
    });
}
