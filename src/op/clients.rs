//! The clients the provider knows: the seeds of `clients_file`, and those in the store (registered, or added by the
//! command line). The same id in both is a fault.

use super::endpoint::registration::{digest, metadata};
use super::error::{Result, server_error};
use super::record::client::{Client, Metadata};
use super::{Fault, Op, Settings};
use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url};
use crate::base::secret::Secret;
use crate::store::record;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What a client or user file says that it should not, and where: `clients[2].redirect_uris`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedFault {
    pub file: std::path::PathBuf,
    /// Where in the file; empty for the whole of it.
    pub path: String,
    pub message: String,
}

/// The most clients whose parsed form is kept.
const KEPT: usize = 10_000;
/// The most seeds and the largest file that is read.
const MAX_SEEDS: usize = 10_000;
const MAX_FILE: u64 = 16 << 20;

/// Clients that do not come from the store, and parsed forms of those that do.
#[derive(Default)]
pub(super) struct Clients {
    seeds: HashMap<String, Arc<Client>>,
    /// By id: the version that was parsed. The store is asked each time, so nothing here can be stale.
    parsed: Mutex<HashMap<String, (u64, Arc<Client>), ahash::RandomState>>,
}

impl Clients {
    /// Reads the seeds that `settings` name.
    pub(super) fn load(settings: &Settings) -> std::result::Result<Clients, Vec<SeedFault>> {
        let Some(file) = &settings.clients_file else { return Ok(Clients::default()) };
        let fault = |path: String, message: String| SeedFault { file: file.clone(), path, message };
        let text = read(file).map_err(|message| vec![fault(String::new(), message)])?;
        let seeds = parse(settings, &text).map_err(|faults| {
            faults.into_iter().map(|(path, message)| fault(path, message)).collect::<Vec<_>>()
        })?;
        let seeds = seeds.into_iter().map(|client| (client.client_id.clone(), Arc::new(client))).collect();
        Ok(Clients { seeds, parsed: Mutex::default() })
    }

    pub(super) fn seeds(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.seeds.values()
    }
}

impl Op {
    /// The client registered as `client_id`. Whether it was disabled is its mark's business.
    pub(super) async fn client(&self, client_id: &str, now: Timestamp) -> Result<Option<Arc<Client>>> {
        if client_id.len() > crate::store::MAX_ID {
            return Ok(None);
        }
        if let Some(seed) = self.clients.seeds.get(client_id) {
            return Ok(Some(seed.clone()));
        }
        let key = record::key::<Client>(client_id.to_owned());
        let Some(entry) = self.store().get(&key, now).await? else { return Ok(None) };
        if let Some((_, client)) =
            self.clients.parsed.lock().get(client_id).filter(|(version, _)| *version == entry.version)
        {
            return Ok(Some(client.clone()));
        }
        let client = Arc::new(record::parse::<Client>(&entry)?.record);
        let mut parsed = self.clients.parsed.lock();
        if parsed.len() >= KEPT {
            parsed.clear();
        }
        parsed.insert(client_id.to_owned(), (entry.version, client.clone()));
        Ok(Some(client))
    }
}

impl Op {
    /// The client's secret itself, for MACs. `None`: it did not register for any ([`Metadata::least_secret`]), or its
    /// secret has expired.
    pub(crate) fn client_secret(&self, client: &Client) -> Result<Option<Secret>> {
        if client.secret_expires.is_some_and(|expires| expires <= self.now()) {
            return Ok(None);
        }
        let Some(sealed) = &client.secret_sealed else { return Ok(client.secret.clone()) };
        let sealed = from_base64url(sealed).unwrap_or_default();
        let opened = self.shared.kit.at_rest.open(&sealed_for(&client.client_id), &sealed);
        let opened = opened.map_err(server_error)?;
        let text = std::str::from_utf8(&opened).map_err(server_error)?;
        Ok(Some(Secret::new(text)))
    }

    /// A new client secret that is long enough for what `metadata` registers.
    pub(super) fn new_secret(&self, metadata: &Metadata) -> Result<String> {
        match metadata.least_secret() {
            Some(least) if least > 43 => Ok(base64url(&self.random().bytes::<48>()?)),
            _ => Ok(self.random().token()?),
        }
    }

    /// `secret` in the form [`Client::secret_sealed`] has, if `metadata` needs it.
    pub(super) fn sealed_secret(
        &self,
        client_id: &str,
        metadata: &Metadata,
        secret: &str,
    ) -> Result<Option<String>> {
        if metadata.least_secret().is_none() {
            return Ok(None);
        }
        let kit = &self.shared.kit;
        let sealed = kit.at_rest.seal(&kit.random, &sealed_for(client_id), secret.as_bytes())?;
        Ok(Some(base64url(&sealed)))
    }
}

/// What a client's secret is sealed to: it opens in no other record.
fn sealed_for(client_id: &str) -> Vec<u8> {
    format!("client secret {client_id}").into_bytes()
}

/// Everything that is wrong with the client file `settings` name. For `check`.
pub fn client_file_faults(settings: &Settings) -> Vec<SeedFault> {
    Clients::load(settings).err().unwrap_or_default()
}

impl From<Vec<SeedFault>> for Fault {
    fn from(faults: Vec<SeedFault>) -> Fault {
        let lines: Vec<_> = faults.iter().map(SeedFault::to_string).collect();
        Fault::Setting(lines.join("\n"))
    }
}

impl std::fmt::Display for SeedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A seed file's text, under a cap.
pub(super) fn read(file: &Path) -> std::result::Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_FILE {
        return Err("is larger than 16 MiB".into());
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

type Faults = Vec<(String, String)>;

/// `clients:` is a list; each entry has a `client_id`, a `client_secret_sha256` where its method needs a secret (a
/// `client_secret` where MACs need the secret itself), and registration metadata by its registered names. Unknown members are faults here (registration drops them).
fn parse(settings: &Settings, text: &str) -> std::result::Result<Vec<Client>, Faults> {
    let whole = |message: String| vec![(String::new(), message)];
    // By way of YAML's own value: it refuses a key that stands twice.
    let document: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| whole(error.to_string()))?;
    let document = serde_json::to_value(document).map_err(|error| whole(error.to_string()))?;
    let list = match document.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("clients")) {
        Some(Value::Array(list)) => list,
        _ => return Err(whole("must have one member, clients: a list".into())),
    };
    if list.len() > MAX_SEEDS {
        return Err(whole(format!("holds more than {MAX_SEEDS} clients: register them instead")));
    }
    let (mut clients, mut faults, mut known) = (Vec::new(), Faults::new(), std::collections::HashSet::new());
    for (at, entry) in list.iter().enumerate() {
        let place = format!("clients[{at}]");
        match entry.as_object().ok_or_else(|| vec![(place.clone(), "must be a map".into())]) {
            Ok(members) => match seed(settings, &place, members) {
                Ok(client) if known.insert(client.client_id.clone()) => clients.push(client),
                Ok(client) => {
                    faults
                        .push((format!("{place}.client_id"), format!("{} is there twice", client.client_id)));
                }
                Err(more) => faults.extend(more),
            },
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(clients) } else { Err(faults) }
}

/// One entry; faults are at `place`.
pub(super) fn seed(
    settings: &Settings,
    place: &str,
    members: &Map<String, Value>,
) -> std::result::Result<Client, Faults> {
    let mut faults = Faults::new();
    let mut rest = members.clone();
    let mut take = |name: &str| match rest.shift_remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (client_id, secret_digest) = (take("client_id"), take("client_secret_sha256"));
    let plain = take("client_secret");
    if client_id.as_ref().is_none_or(|id| id.len() > 200 || !id.bytes().all(|byte| byte.is_ascii_graphic())) {
        faults.push((place.to_owned(), "needs a client_id of at most 200 visible ASCII characters".into()));
    }
    for name in rest.keys().filter(|name| !metadata::is_known(name)) {
        faults.push((format!("{place}.{name}"), "is not a member this provider knows".into()));
    }
    let metadata = match metadata::validate(settings, &rest) {
        Ok(metadata) => metadata,
        Err(refusal) => {
            let path = refusal.member.map_or_else(|| place.to_owned(), |member| format!("{place}.{member}"));
            faults.push((path, refusal.error.says.into_owned()));
            return Err(faults);
        }
    };
    let needs_secret = metadata::needs_secret(&metadata.token_endpoint_auth_method);
    let (plain, secret_digest) = match (metadata.least_secret(), plain) {
        (None, None) => (None, secret_digest),
        (None, Some(_)) => {
            let says =
                "is not needed: keep client_secret_sha256, the SHA-256 of the secret as base64url, instead";
            faults.push((format!("{place}.client_secret"), says.into()));
            (None, secret_digest)
        }
        (Some(least), plain) => {
            if plain.as_ref().is_none_or(|plain| plain.len() < least) || secret_digest.is_some() {
                let says = format!(
                    "needs client_secret, of at least {least} bytes, and not its SHA-256: tokens are signed with the secret itself"
                );
                faults.push((place.to_owned(), says));
            }
            let digest = plain.as_deref().map(digest);
            (plain.map(Secret::new), Some(digest.unwrap_or_default()))
        }
    };
    let digest_fits = |digest: &String| crate::base::encode::from_base64url_exact::<32>(digest).is_some();
    let needs_digest = needs_secret && metadata.least_secret().is_none();
    if needs_digest && !secret_digest.as_ref().is_some_and(digest_fits) {
        let says = "needs client_secret_sha256, the SHA-256 of its secret as base64url (oidcop-proxy client add prints one)";
        faults.push((place.to_owned(), says.into()));
    }
    let secret_digest = secret_digest.filter(|_| needs_secret);
    let client_id = client_id.unwrap_or_default();
    let origin = "file".into();
    let client = Client { client_id, origin, secret_digest, secret: plain, metadata, ..Client::default() };
    if faults.is_empty() { Ok(client) } else { Err(faults) }
}
