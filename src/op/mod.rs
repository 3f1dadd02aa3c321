//! The provider: a function from `http::Request<Bytes>` (and the [`Peer`] it came from) to `http::Response<Bytes>`.
//!
//! It never sees a socket, pingora or the system clock. Everything in here is private but this face.

mod acr;
mod administer;
mod binding;
mod browser;
mod claims;
mod client_auth;
mod clients;
mod cookie;
mod directory;
mod elsewhere;
mod endpoint;
mod error;
#[cfg(test)]
mod fixture;
mod grant;
mod keys;
mod notify;
mod page;
mod prompt;
mod record;
mod request;
mod response_mode;
mod response_type;
mod seal;
mod serve;
mod session_state;
pub mod settings;
#[cfg(test)]
mod soup;
mod subject;
mod throttle;
mod token;
#[cfg(test)]
mod walk;

pub use administer::{Command, Refused};
pub use binding::dpop::ALGS_IN_CHALLENGE as DPOP_ALGS;
pub use binding::{DPOP, DPOP_NONCE, Proofs, Scheme, Shown, Unproven};
pub use clients::{SeedFault, client_file_faults};
pub use cookie::COOKIES;
pub use directory::{account_of, user_file_faults};
pub use elsewhere::{
    Offered, claim_fault, client_entry_faults, is_client_member, is_reserved_claim, needs_secret_itself,
    password_fault, standard_claims, user_entry_faults,
};
pub use record::confirmation::Confirmation;
pub use settings::Settings;
pub use token::introspect::{Facts, Presented, Verdict};
pub use token::life::{Dead, Hook, Life};

use crate::base::certificate::Authorities;
use crate::base::clock::Clock;
use crate::base::fetch::Fetch;
use crate::base::random::Random;
use crate::base::secret::AtRestKey;
use crate::base::work::Work;
use crate::jose::RemoteKeys;
use crate::store::Store;
use bytes::Bytes;
use clients::Clients;
use directory::People;
use http::{Request, Response};
use keys::Keys;
use page::Templates;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use throttle::Throttle;
use token::introspect::Verdicts;
use token::life::Lives;
use token::refresh::RefreshKeys;

/// Where a request came from, as the front door knows it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address, after trusted forwarding.
    pub address: IpAddr,
    /// The client's certificate in DER, if it presented one: of this very connection, never from a header.
    pub certificate: Option<Bytes>,
    /// What it sent besides, to lead to an authority.
    pub chain: Vec<Bytes>,
    /// The authority the request was sent to: lower case, without default port.
    pub host: String,
    /// In every log line of this request, and on error pages.
    pub request_id: String,
}

/// What the provider runs on. It survives a reload.
#[derive(Clone)]
pub struct Kit {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub random: Random,
    pub at_rest: AtRestKey,
    /// For what blocks: password hashes, RSA signatures.
    pub work: Work,
    /// For what other parties publish.
    pub fetch: Fetch,
}

/// Why the provider could not be opened or asked. For the log and the operator, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Store(#[from] crate::store::Fault),
    #[error(transparent)]
    Randomness(#[from] crate::base::random::NoRandomness),
    #[error(transparent)]
    Jose(#[from] crate::jose::Fault),
    /// Something the operator must put right.
    #[error("{0}")]
    Setting(String),
    /// The same, where the key that says it is known (`op.mtls.ca_file`).
    #[error("{key}: {says}")]
    Key { key: &'static str, says: String },
}

/// A password as a users file holds it: an argon2id hash as a PHC string. Blocks for tens of milliseconds.
///
/// # Errors
/// The password is empty or longer than 1024 bytes, or there is no randomness.
pub fn hash_password(random: &Random, password: &crate::base::secret::Secret) -> Result<String, Fault> {
    if password.expose().is_empty() || password.expose().len() > 1_024 {
        return Err(Fault::Setting("a password has 1 to 1024 bytes".into()));
    }
    let hash = directory::password::hash_with(password, &random.bytes()?);
    hash.ok_or_else(|| Fault::Setting("argon2 refused its parameters".into()))
}

/// What lives as long as the process, whatever the settings say.
struct Shared {
    kit: Kit,
    lives: Lives,
    verdicts: Verdicts,
    keys: Keys,
    refresh_keys: RefreshKeys,
    /// Nonces for proofs, and the proofs that were used.
    binding: Proofs,
    /// The key sets of clients.
    remote: RemoteKeys,
    throttle: Throttle,
    /// Logout tokens on their way to clients.
    notices: notify::Queue,
    /// The configurations there have been: no two have the same number.
    generations: AtomicU64,
    /// Makes subject identifiers. Changing it would change every `sub`.
    subject_key: [u8; 32],
}

/// The provider under one configuration.
#[derive(Clone)]
pub struct Op {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    clients: Arc<Clients>,
    people: Arc<People>,
    salts: Arc<subject::Salts>,
    pages: Arc<Templates>,
    /// Who vouches for the certificates of clients.
    authorities: Option<Authorities>,
    /// Which endpoint answers at which path.
    paths: Arc<serve::Paths>,
    /// The metadata document, rendered once.
    metadata: Arc<OnceLock<Bytes>>,
    /// Which configuration this is: a verdict of another generation is judged again.
    generation: u64,
}

fn authorities(settings: &Settings) -> Result<Option<Authorities>, Fault> {
    let Some(file) = settings.mtls.as_ref().and_then(|mtls| mtls.ca_file.as_ref()) else { return Ok(None) };
    let fault = |why| Fault::Key { key: "op.mtls.ca_file", says: format!("{}: {why}", file.display()) };
    Authorities::read(file).map(Some).map_err(fault)
}

impl Op {
    /// Opens the provider over `kit`.
    ///
    /// # Errors
    /// The store or the at-rest key does not work, or the settings contradict themselves.
    pub async fn open(kit: Kit, settings: Settings) -> Result<Op, Fault> {
        let subject_key = kit.at_rest.derive("subject identifiers");
        let shared = Arc::new(Shared {
            lives: Lives::default(),
            throttle: Throttle::default(),
            notices: notify::Queue::default(),
            verdicts: Verdicts::default(),
            keys: Keys::open(&kit, &settings).await?,
            refresh_keys: RefreshKeys::new(&kit.at_rest),
            binding: Proofs::new(&kit.at_rest, &kit.random, kit.clock.now())?,
            remote: RemoteKeys::new(kit.fetch.clone(), kit.clock.clone()),
            generations: AtomicU64::new(0),
            subject_key,
            kit,
        });
        Op::over(shared, settings)
    }

    /// The same provider under new settings: store, lives, verdicts and keys stay.
    pub async fn reconfigured(&self, settings: Settings) -> Result<Op, Fault> {
        let op = Op::over(self.shared.clone(), settings)?;
        // Keys for algorithms that are new, before the metadata names them.
        op.tend_keys(op.now()).await?;
        Ok(op)
    }

    fn over(shared: Arc<Shared>, settings: Settings) -> Result<Op, Fault> {
        let generation = shared.generations.fetch_add(1, Ordering::Relaxed);
        let clients = Arc::new(Clients::load(&settings)?);
        let people = Arc::new(People::load(&settings, shared.kit.store.clone())?);
        let salts = Arc::new(subject::Salts::load(&settings)?);
        let pages = Arc::new(Templates::load(&settings)?);
        let authorities = authorities(&settings)?;
        let (settings, paths, metadata) = (Arc::new(settings), Arc::default(), Arc::default());
        let mut op =
            Op { shared, settings, clients, people, salts, pages, authorities, paths, metadata, generation };
        op.paths = Arc::new(serve::Paths::of(&op));
        Ok(op)
    }

    /// Whether a request for `path` on the issuer's host is the provider's to answer: its endpoints and documents.
    pub fn owns(&self, path: &str) -> bool {
        serve::owns(self, path)
    }

    /// Whether `path` is also the provider's on the host of `op.mtls`: its endpoints for clients, and no page.
    pub fn owns_at_mtls(&self, path: &str) -> bool {
        self.settings.mtls.is_some() && serve::endpoint(self, path).is_some_and(binding::is_aliased)
    }

    /// Answers anything under the mount and the well-known paths. Cannot fail: what goes wrong is an answer too.
    pub async fn handle(&self, request: Request<Bytes>, peer: &Peer) -> Response<Bytes> {
        serve::handle(self, request, peer).await
    }

    /// The judgement on a token that was judged before: no lock held across await, no store. `None` = ask
    /// [`Op::introspect`].
    pub fn seen(&self, presented: Presented<'_>) -> Option<Verdict> {
        token::introspect::seen(self, presented)
    }

    /// The judgement on any token.
    ///
    /// # Errors
    /// The store cannot say: the caller must refuse (503).
    pub async fn introspect(&self, presented: Presented<'_>) -> Result<Verdict, Fault> {
        Ok(token::introspect::introspect(self, presented).await?)
    }

    /// Housekeeping: removes at most `budget` expired records, turns signing keys over when their time has come.
    /// To be called every few seconds, and again at once while it returns `budget`.
    ///
    /// # Errors
    /// The store does not work. What was not done is done next time.
    pub async fn tend(&self, now: crate::base::clock::Timestamp, budget: usize) -> Result<usize, Fault> {
        let swept = self.store().sweep(now, budget).await?;
        self.shared.verdicts.tidy(now);
        self.tend_keys(now).await?;
        self.tend_notices(now).await?;
        Ok(swept)
    }

    /// Carries out what the command line or the control socket asks. The answer's form stands at the command.
    ///
    /// # Errors
    /// A sentence for the operator; nothing was done.
    pub async fn administer(&self, command: Command) -> Result<serde_json::Value, Refused> {
        administer::administer(self, command).await
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Scheme and authority of the issuer: what every address of ours begins with.
    pub fn origin(&self) -> &str {
        let issuer = self.settings.issuer.as_str();
        let authority = issuer.find("://").map_or(0, |at| at + 3);
        let end = issuer.get(authority..).and_then(|rest| rest.find('/'));
        end.and_then(|end| issuer.get(..authority + end)).unwrap_or(issuer)
    }

    /// The issuer's host, with its port if it names one.
    fn host(&self) -> &str {
        self.origin().split_once("://").map_or("", |(_, host)| host)
    }

    fn now(&self) -> crate::base::clock::Timestamp {
        self.shared.kit.clock.now()
    }
    fn store(&self) -> &dyn Store {
        &*self.shared.kit.store
    }
    fn random(&self) -> &Random {
        &self.shared.kit.random
    }
    fn lives(&self) -> &Lives {
        &self.shared.lives
    }
}
