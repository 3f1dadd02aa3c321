//! What outlives a configuration: the one runtime of ours, the store, the at-rest key, the worker threads. The runtime
//! is started before pingora and ended after it, since pingora kills what was born on its own.

use super::Fault;
use crate::base::clock::Clock;
use crate::base::encode::from_base64url_exact;
use crate::base::fetch::Fetch;
use crate::base::random::Random;
use crate::base::secret::AtRestKey;
use crate::base::work::Work;
use crate::config::Config;
use crate::observe::sink::private_directory;
use crate::{op, store};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// The environment variable that goes before `op.at_rest_key_file`.
pub const AT_REST_VARIABLE: &str = "OIDCOP_AT_REST_KEY";

/// Threads of our runtime: control socket, sweep, fetches, the demo. None of them is busy.
const THREADS: usize = 2;

/// How long tasks of ours may take to end.
const END: Duration = Duration::from_secs(2);

pub struct Kit {
    runtime: Runtime,
    op: op::Kit,
}

impl Kit {
    /// # Errors
    /// The store is locked or damaged, the at-rest key is missing or none, or the machine gives no threads.
    pub fn open(config: &Config) -> Result<Kit, Fault> {
        let random = Random::system();
        Kit::over(config, at_rest_key(config, &random)?, &config.store, random)
    }

    /// A kit that leaves no trace: to find out whether a provider can be made of a configuration.
    ///
    /// # Errors
    /// The machine gives no threads or no randomness.
    pub fn to_check(config: &Config) -> Result<Kit, Fault> {
        let random = Random::system();
        let mut config = config.clone();
        // The development authority is made by the first start, not by a check.
        if config.demo.certificate {
            config.fetch.ca_file = config.fetch.ca_file.filter(|file| file.exists());
        }
        Kit::over(&config, AtRestKey::new(random.bytes()?), &store::Settings::Memory, random)
    }

    fn over(
        config: &Config,
        at_rest: AtRestKey,
        store: &store::Settings,
        random: Random,
    ) -> Result<Kit, Fault> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("kit")
            .enable_all()
            .build()
            .map_err(|error| Fault::io("the runtime", error))?;
        let fetch = Fetch::system(&config.fetch, runtime.handle().clone())
            .map_err(|fault| Fault::Said(format!("fetch: {fault}")))?;
        let work =
            Work::system(Work::spare_cores()).map_err(|error| Fault::io("the worker threads", error))?;
        let store = store::open(store)?;
        let op = op::Kit { store, clock: Clock::system(), random, at_rest, work, fetch };
        Ok(Kit { runtime, op })
    }

    pub fn op(&self) -> &op::Kit {
        &self.op
    }

    pub fn store(&self) -> &Arc<dyn store::Store> {
        &self.op.store
    }

    pub fn clock(&self) -> &Clock {
        &self.op.clock
    }

    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Ends the tasks, then flushes and closes the store. Nothing of the provider may be used afterwards.
    pub fn close(self) -> Result<(), store::Fault> {
        self.runtime.shutdown_timeout(END);
        self.op.store.close()
    }
}

/// The at-rest key: from the environment, from its file (made on first start), or, for a store that forgets, a new one.
fn at_rest_key(config: &Config, random: &Random) -> Result<AtRestKey, Fault> {
    #[expect(clippy::disallowed_methods, reason = "the at-rest key may be given by the environment alone")]
    let given = std::env::var(AT_REST_VARIABLE).ok();
    if let Some(text) = given {
        let key = parse_key(&text);
        return key.ok_or_else(|| {
            Fault::Said(format!("{AT_REST_VARIABLE} is not 32 bytes as base64url or hexadecimal"))
        });
    }
    let file = config.op.as_ref().and_then(|op| op.at_rest_key_file.as_deref());
    match file {
        Some(path) => key_file(path, random),
        None if forgets(config) => Ok(AtRestKey::new(random.bytes()?)),
        None if config.op.is_none() => Err(Fault::Said(format!(
            "no at-rest key for the keys of identity tokens: set {AT_REST_VARIABLE} to 32 bytes as base64url or hexadecimal"
        ))),
        None => Err(Fault::Said(format!(
            "no at-rest key: name a file in `op.at_rest_key_file` (it is made on first start) or set {AT_REST_VARIABLE}"
        ))),
    }
}

/// Nothing is kept that would have to be unsealed by the next process.
fn forgets(config: &Config) -> bool {
    let signs = config.routes.iter().any(|route| route.identity_token.is_some());
    config.store == store::Settings::Memory || (config.op.is_none() && !signs)
}

fn key_file(path: &Path, random: &Random) -> Result<AtRestKey, Fault> {
    let shown = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse_key(text.trim()).ok_or_else(|| {
            Fault::Said(format!("{shown} does not hold 32 bytes as base64url or hexadecimal"))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
                private_directory(directory).map_err(|error| Fault::io(&shown, error))?;
            }
            let text = random.token()?;
            // O_EXCL: of two processes that start at once only one makes the key.
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let written = made.and_then(|mut file| {
                file.write_all(format!("{text}\n").as_bytes())?;
                file.sync_all()
            });
            written.map_err(|error| Fault::io(&shown, error))?;
            parse_key(&text).ok_or_else(|| Fault::Said(format!("{shown} could not be made")))
        }
        Err(error) => Err(Fault::io(&shown, error)),
    }
}

fn parse_key(text: &str) -> Option<AtRestKey> {
    from_base64url_exact::<32>(text).or_else(|| from_hex(text)).map(AtRestKey::new)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/at-rest.key");
        let first = key_file(&path, &Random::scripted(1)).unwrap();
        let again = key_file(&path, &Random::scripted(2)).unwrap();
        assert_eq!(first.derive("x"), again.derive("x"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_is_32_bytes_however_it_is_written() {
        let hex = "00".repeat(31) + "0f";
        let base64url = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8";
        let both = [hex.as_str(), base64url].map(|text| parse_key(text).unwrap().derive("x"));
        assert_eq!(both[0], both[1]);
        for bad in ["", "00", "zz", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"0g".repeat(32)] {
            assert!(parse_key(bad).is_none(), "{bad}");
        }
    }
}
