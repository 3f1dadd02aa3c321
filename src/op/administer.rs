//! What the command line and the control socket ask of the provider. Each command takes effect in the call: what it
//! disables, removes or ends is refused by the very next request.

mod clients;
mod initial_access;
mod keys;
mod sessions;
mod users;

#[cfg(test)]
mod tests;

use super::Op;
use super::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A command, as it travels over the control socket.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    UserAdd {
        username: String,
        password: String,
        /// OpenID Connect Core §5.1, without `sub`.
        #[serde(default)]
        claims: Map<String, Value>,
    },
    UserPasswd {
        username: String,
        password: String,
    },
    UserList,
    UserDisable {
        username: String,
    },
    UserEnable {
        username: String,
    },
    /// The person enrols anew at the next sign-in that needs a second factor.
    UserOtpReset {
        username: String,
    },
    ClientAdd {
        /// Registration metadata (RFC 7591 §2).
        metadata: Map<String, Value>,
    },
    ClientList,
    ClientShow {
        client_id: String,
    },
    ClientRotateSecret {
        client_id: String,
    },
    ClientRemove {
        client_id: String,
    },
    /// An initial access token (RFC 7591 §1.2) is made.
    ClientToken {
        /// How many clients may be registered with it; any number if left out.
        #[serde(default)]
        uses: Option<u64>,
        /// Seconds; it never expires if left out.
        #[serde(default)]
        lifetime: Option<u64>,
        #[serde(default)]
        redirect_hosts: Vec<String>,
        #[serde(default)]
        scopes: Vec<String>,
    },
    ClientTokens,
    ClientRevokeToken {
        /// As `client tokens` lists it.
        token_id: String,
    },
    SessionList {
        #[serde(default)]
        username: Option<String>,
    },
    /// One session by its `sid`, or all of a person's.
    SessionEnd {
        #[serde(default)]
        sid: Option<String>,
        #[serde(default)]
        username: Option<String>,
    },
    KeyList,
    /// The published next key takes over, and a new next is made; all algorithms unless one is named.
    KeyRotate {
        #[serde(default)]
        alg: Option<String>,
    },
    /// A compromised key is withdrawn at once: what it signed is no longer accepted.
    KeyRevoke {
        kid: String,
    },
}

impl Command {
    /// Its name, for the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Command::UserAdd { .. } => "user add",
            Command::UserPasswd { .. } => "user passwd",
            Command::UserList => "user list",
            Command::UserDisable { .. } => "user disable",
            Command::UserEnable { .. } => "user enable",
            Command::UserOtpReset { .. } => "user otp reset",
            Command::ClientAdd { .. } => "client add",
            Command::ClientList => "client list",
            Command::ClientShow { .. } => "client show",
            Command::ClientRotateSecret { .. } => "client rotate-secret",
            Command::ClientRemove { .. } => "client remove",
            Command::ClientToken { .. } => "client token",
            Command::ClientTokens => "client tokens",
            Command::ClientRevokeToken { .. } => "client revoke-token",
            Command::SessionList { .. } => "session list",
            Command::SessionEnd { .. } => "session end",
            Command::KeyList => "key list",
            Command::KeyRotate { .. } => "key rotate",
            Command::KeyRevoke { .. } => "key revoke",
        }
    }

    /// Whether it changes nothing.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Command::UserList
                | Command::ClientList
                | Command::ClientShow { .. }
                | Command::ClientTokens
                | Command::SessionList { .. }
                | Command::KeyList
        )
    }

    /// What it is about: a user name, client id, `sid` or key id.
    pub fn object(&self) -> Option<&str> {
        match self {
            Command::UserAdd { username, .. }
            | Command::UserPasswd { username, .. }
            | Command::UserDisable { username }
            | Command::UserEnable { username }
            | Command::UserOtpReset { username } => Some(username),
            Command::ClientShow { client_id }
            | Command::ClientRotateSecret { client_id }
            | Command::ClientRemove { client_id } => Some(client_id),
            Command::ClientRevokeToken { token_id } => Some(token_id),
            Command::SessionEnd { sid, username } => sid.as_deref().or(username.as_deref()),
            Command::SessionList { username } => username.as_deref(),
            Command::KeyRevoke { kid } => Some(kid),
            Command::KeyRotate { alg } => alg.as_deref(),
            Command::ClientAdd { .. }
            | Command::ClientToken { .. }
            | Command::ClientTokens
            | Command::UserList
            | Command::ClientList
            | Command::KeyList => None,
        }
    }
}

impl fmt::Debug for Command {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.object().unwrap_or(""))
    }
}

/// Why a command was not carried out, as a sentence for the operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        // Operators may see what clients may not.
        match error.cause {
            Some(cause) => Refused(format!("{}: {cause}", error.says)),
            None => Refused(error.says.into_owned()),
        }
    }
}

impl From<crate::store::Fault> for Refused {
    fn from(fault: crate::store::Fault) -> Refused {
        Refused(fault.to_string())
    }
}

fn refused<T>(says: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(says.into()))
}

/// The answer to a command: a JSON value whose form stands at each command's function.
pub(super) type Reply = Result<Value, Refused>;

pub(super) async fn administer(op: &Op, command: Command) -> Reply {
    match command {
        Command::UserAdd { username, password, claims } => users::add(op, &username, password, claims).await,
        Command::UserPasswd { username, password } => users::passwd(op, &username, password).await,
        Command::UserList => users::list(op).await,
        Command::UserDisable { username } => users::disable(op, &username).await,
        Command::UserEnable { username } => users::enable(op, &username).await,
        Command::UserOtpReset { username } => users::otp_reset(op, &username).await,
        Command::ClientAdd { metadata } => clients::add(op, &metadata).await,
        Command::ClientList => clients::list(op).await,
        Command::ClientShow { client_id } => clients::show(op, &client_id).await,
        Command::ClientRotateSecret { client_id } => clients::rotate_secret(op, &client_id).await,
        Command::ClientRemove { client_id } => clients::remove(op, &client_id).await,
        Command::ClientToken { uses, lifetime, redirect_hosts, scopes } => {
            initial_access::make(op, uses, lifetime, redirect_hosts, scopes).await
        }
        Command::ClientTokens => initial_access::list(op).await,
        Command::ClientRevokeToken { token_id } => initial_access::revoke(op, &token_id).await,
        Command::SessionList { username } => sessions::list(op, username.as_deref()).await,
        Command::SessionEnd { sid, username } => sessions::end(op, sid.as_deref(), username.as_deref()).await,
        Command::KeyList => keys::list(op).await,
        Command::KeyRotate { alg } => keys::rotate(op, alg.as_deref()).await,
        Command::KeyRevoke { kid } => keys::revoke(op, &kid).await,
    }
}
