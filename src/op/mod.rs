//! The provider: a function from `http::Request<Bytes>` (and the [`Peer`] it came from) to `http::Response<Bytes>`.
//!
//! It never sees a socket, pingora or the system clock. Everything in here is private but this face.

mod client_auth;
mod clients;
mod directory;
mod endpoint;
mod error;
#[cfg(test)]
mod fixture;
mod grant;
mod page;
mod prompt;
mod record;
mod request;
mod response_mode;
mod serve;
pub mod settings;
mod subject;
mod token;

pub use clients::{SeedFault, client_file_faults};
pub use settings::Settings;
pub use token::introspect::{Facts, Presented, Verdict};
pub use token::life::{Dead, Hook, Life};

use crate::base::clock::Clock;
use crate::base::fetch::Fetch;
use crate::base::random::Random;
use crate::base::secret::AtRestKey;
use crate::base::work::Work;
use crate::store::Store;
use bytes::Bytes;
use clients::Clients;
use http::{Request, Response};
use std::net::IpAddr;
use std::sync::Arc;
use token::life::Lives;

/// Where a request came from, as the front door knows it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address, after trusted forwarding.
    pub address: IpAddr,
    /// The client's certificate in DER, if it presented one.
    pub certificate: Option<bytes::Bytes>,
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
    /// Something the operator must put right.
    #[error("{0}")]
    Setting(String),
}

/// What lives as long as the process, whatever the settings say.
struct Shared {
    kit: Kit,
    lives: Lives,
    /// Makes subject identifiers. Changing it would change every `sub`.
    subject_key: [u8; 32],
}

/// The provider under one configuration.
#[derive(Clone)]
pub struct Op {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    clients: Arc<Clients>,
    /// Counts reloads: a verdict of another generation is judged again.
    generation: u64,
}

impl Op {
    /// Opens the provider over `kit`.
    ///
    /// # Errors
    /// The store or the at-rest key does not work, or the settings contradict themselves.
    pub async fn open(kit: Kit, settings: Settings) -> Result<Op, Fault> {
        let subject_key = kit.at_rest.derive("subject identifiers");
        let shared = Arc::new(Shared { kit, lives: Lives::default(), subject_key });
        Op::over(shared, settings, 1)
    }

    /// The same provider under new settings: store, lives, verdicts and keys stay.
    pub async fn reconfigured(&self, settings: Settings) -> Result<Op, Fault> {
        Op::over(self.shared.clone(), settings, self.generation + 1)
    }

    fn over(shared: Arc<Shared>, settings: Settings, generation: u64) -> Result<Op, Fault> {
        let clients = Arc::new(Clients::load(&settings)?);
        Ok(Op { shared, settings: Arc::new(settings), clients, generation })
    }

    /// Whether a request for `path` on the issuer's host is the provider's to answer: its endpoints and documents.
    pub fn owns(&self, path: &str) -> bool {
        serve::owns(self, path)
    }

    /// Answers anything under the mount and the well-known paths. Cannot fail: what goes wrong is an answer too.
    pub async fn handle(&self, request: Request<Bytes>, peer: &Peer) -> Response<Bytes> {
        serve::handle(self, request, peer).await
    }

    /// The judgement on a token that was judged before: no lock held across await, no store. `None` = ask
    /// [`Op::introspect`].
    pub fn seen(&self, _presented: Presented<'_>) -> Option<Verdict> {
        None
    }

    /// The judgement on any token.
    ///
    /// # Errors
    /// The store cannot say: the caller must refuse (503).
    pub async fn introspect(&self, _presented: Presented<'_>) -> Result<Verdict, Fault> {
        Ok(Verdict::Inactive)
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
