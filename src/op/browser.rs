//! The browser on the other side: the cookie it is known by, the tokens its forms carry, and the session of the
//! person at it.

use super::error::{Code, Error, Result, invalid_request, unavailable};
use super::record::mark::Mark;
use super::record::session::Session;
use super::token::parents::Marked;
use super::token::revoke;
use super::{Op, cookie, session_state};
use crate::base::clock::Timestamp;
use crate::base::encode::{base64url, from_base64url_exact};
use crate::base::secret::{Secret, equal, hmac_sha256, sha256};
use crate::store::record::{self, Stored};
use crate::store::{Durability, Expect, Fault};
use http::{HeaderMap, Response, header};
use std::time::Duration;

/// A browser, by its binding cookie.
pub(super) struct Browser {
    value: String,
    fresh: bool,
}

impl Browser {
    pub fn of(headers: &HeaderMap) -> Option<Browser> {
        let value = cookie::read(headers, cookie::BROWSER)?;
        // Only what we could have made ourselves.
        from_base64url_exact::<32>(value)?;
        Some(Browser { value: value.to_owned(), fresh: false })
    }

    pub fn of_or_new(op: &Op, headers: &HeaderMap) -> Result<Browser> {
        match Browser::of(headers) {
            Some(browser) => Ok(browser),
            None => Ok(Browser { value: op.random().token()?, fresh: true }),
        }
    }

    /// Under which the browser is known at rest.
    pub fn digest(&self) -> String {
        base64url(&sha256(self.value.as_bytes()))
    }

    /// The token of a form: nobody without this browser's cookie can make it, and it is good for `purpose` only.
    pub fn form_token(&self, op: &Op, purpose: &[&str]) -> String {
        let key = op.shared.kit.at_rest.derive("form tokens");
        let parts: Vec<&[u8]> =
            std::iter::once(&self.value.as_str()).chain(purpose).map(|part| part.as_bytes()).collect();
        base64url(&hmac_sha256(&key, &parts))
    }

    /// Whether a posted form came from a page of ours in this browser.
    pub fn vouches(&self, op: &Op, headers: &HeaderMap, token: Option<&str>, purpose: &[&str]) -> bool {
        let right = self.form_token(op, purpose);
        token.is_some_and(|token| equal(token.as_bytes(), right.as_bytes())) && is_same_origin(op, headers)
    }

    /// Sends the cookie, unless the browser has it.
    pub fn remember<T>(&self, response: &mut Response<T>) {
        if self.fresh {
            cookie::set(response, cookie::BROWSER, &self.value);
        }
    }
}

/// What the browser says about where a form came from. Old ones say nothing: the form's token still speaks.
fn is_same_origin(op: &Op, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(|value| value.as_bytes());
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    origin.is_none_or(|origin| origin == op.origin().as_bytes())
        && site.is_none_or(|site| site == b"same-origin" || site == b"none")
}

/// The error of a form that does not come from where it should.
pub(super) fn forged_form() -> Error {
    invalid_request("This form does not belong to this browser; go back to the application and start again")
}

/// A session that a sign-in made or renewed, and the cookie that goes with it.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub session: Stored<Session>,
    pub cookie: SessionCookie,
}

/// The value of the session cookie on its way to the browser, and the browser state that goes with it.
#[derive(Debug)]
pub(super) struct SessionCookie {
    value: Secret,
    state: String,
}

impl SessionCookie {
    fn of(op: &Op, sid: &str, handle: &str) -> SessionCookie {
        SessionCookie {
            value: Secret::new(format!("{sid}.{handle}")),
            state: session_state::of(op, Some(sid)),
        }
    }

    pub fn send<T>(self, response: &mut Response<T>) {
        cookie::set(response, cookie::SESSION, self.value.expose());
        cookie::set_state(response, &self.state);
    }
}

fn meanwhile() -> Error {
    Error::new(Code::AccessDenied, "The account has been disabled or its password changed meanwhile")
}

/// How often a write is tried against concurrent ones.
const TRIES: usize = 32;
/// Clients a session remembers: the first ones. When it ends they are told, each by a record in the same commit.
const MAX_CLIENTS: usize = 200;
/// How often the time a session was last seen is written.
const SEEN_EVERY: Duration = Duration::from_secs(60);

impl Op {
    /// The living session of the person at the browser.
    pub(super) async fn browser_session(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Stored<Session>>> {
        let Some((sid, handle)) = cookie::read(headers, cookie::SESSION).and_then(|v| v.split_once('.'))
        else {
            return Ok(None);
        };
        if sid.len() > 64 {
            return Ok(None);
        }
        let Some(stored) = record::get::<Session>(self.store(), sid.to_owned(), now).await? else {
            return Ok(None);
        };
        let session = &stored.record;
        let digest = base64url(&sha256(handle.as_bytes()));
        let idle = now.since(session.last_seen) >= self.settings.lifetimes.session_idle.0;
        if stored.dead || idle || !equal(digest.as_bytes(), session.handle_digest.as_bytes()) {
            return Ok(None);
        }
        let mark = record::get::<Mark>(self.store(), Mark::of_account(&session.account), now).await?;
        if mark.is_some_and(|mark| mark.record.disabled || session.created <= mark.record.dead_since) {
            return Ok(None);
        }
        // Someone who was taken out of the file is nobody any more.
        if self.person(&session.account, now).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(stored))
    }

    /// Signs `account` in, by `methods` (RFC 8176). The same person's session goes on under a new handle and with a later
    /// `auth_time`; somebody else's ends. `marked` was read before the proof was judged: a mark that was written since
    /// (a new password, a disabling) refuses the sign-in.
    pub(super) async fn sign_in(
        &self,
        account: &str,
        methods: &[&str],
        marked: &Marked,
        old: Option<&Stored<Session>>,
        now: Timestamp,
    ) -> Result<SignedIn> {
        let handle = self.random().token()?;
        let amr: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        let mut session = Session {
            sid: self.random().id()?,
            handle_digest: base64url(&sha256(handle.as_bytes())),
            account: account.to_owned(),
            created: now,
            auth_time: now,
            acr: self.acr(&amr, &[]),
            amr,
            last_seen: now,
            expires: now.plus(self.settings.lifetimes.session.0),
            clients: Vec::new(),
            ended: false,
        };
        if !marked.spares(now) {
            return Err(meanwhile());
        }
        let mut old = old.cloned();
        for _ in 0..TRIES {
            let mine = old.as_ref().filter(|old| !old.dead && old.record.account == account);
            let expect = match mine {
                Some(old) => {
                    let before = &old.record;
                    session.sid.clone_from(&before.sid);
                    session.created = before.created;
                    session.clients.clone_from(&before.clients);
                    // OpenID Connect Core §3.1.2.1: strictly later, also within one second.
                    session.auth_time = now.max(before.auth_time.plus(Duration::from_secs(1)));
                    Expect::Version(old.version)
                }
                None => Expect::Absent,
            };
            let changes = vec![record::put(&session, expect)?, marked.check()];
            match self.store().commit(changes, Durability::Durable, now).await {
                Ok(version) => {
                    if let Some(other) = old.filter(|old| old.record.account != account) {
                        revoke::session(self, &other.record.sid, now).await?;
                    }
                    let cookie = SessionCookie::of(self, &session.sid, &handle);
                    return Ok(SignedIn {
                        session: Stored { record: session, version, dead: false },
                        cookie,
                    });
                }
                // Another tab was faster: on top of what it wrote.
                Err(Fault::Conflict { position: 0 }) => {
                    let Some(before) = old else { break };
                    old = record::get::<Session>(self.store(), before.record.sid, now).await?;
                    session.sid = self.random().id()?;
                    session.created = now;
                }
                Err(fault) if fault.is_conflict() => break,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(meanwhile())
    }

    /// Adds `methods` to what the session's person has proven: a new handle and a later `auth_time`, as at a sign-in.
    ///
    /// # Errors
    /// `access_denied` if the session has ended meanwhile, also by a mark on its account.
    pub(super) async fn step_up(
        &self,
        stored: &Stored<Session>,
        methods: &[&str],
        now: Timestamp,
    ) -> Result<SignedIn> {
        let handle = self.random().token()?;
        let mut stored = stored.clone();
        for _ in 0..TRIES {
            let mut session = stored.record;
            let marked = Marked::account(self, &session.account, now).await?;
            if stored.dead || !marked.spares(session.created) {
                break;
            }
            let new = methods.iter().filter(|method| !session.amr.iter().any(|proven| proven == *method));
            let new: Vec<String> = new.map(|method| (*method).to_owned()).collect();
            session.amr.extend(new);
            session.acr = self.acr(&session.amr, &[]);
            session.handle_digest = base64url(&sha256(handle.as_bytes()));
            session.auth_time = now.max(session.auth_time.plus(Duration::from_secs(1)));
            session.last_seen = now;
            let changes = vec![record::put(&session, Expect::Version(stored.version))?, marked.check()];
            match self.store().commit(changes, Durability::Durable, now).await {
                Ok(version) => {
                    let cookie = SessionCookie::of(self, &session.sid, &handle);
                    let session = Stored { record: session, version, dead: false };
                    return Ok(SignedIn { session, cookie });
                }
                Err(fault) if !fault.is_conflict() => return Err(fault.into()),
                Err(_) => match record::get::<Session>(self.store(), session.sid, now).await? {
                    Some(newer) => stored = newer,
                    None => break,
                },
            }
        }
        Err(Error::new(Code::AccessDenied, "The session has ended meanwhile"))
    }

    /// Writes down that the session was used, by `client_id` if it was for one.
    pub(super) async fn touch_session(
        &self,
        stored: &Stored<Session>,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let mut stored = stored.clone();
        for _ in 0..TRIES {
            let session = &mut stored.record;
            let new = client_id.filter(|id| !session.clients.iter().any(|known| known == id));
            let new = new.filter(|_| session.clients.len() < MAX_CLIENTS).map(str::to_owned);
            if new.is_none() && now.since(session.last_seen) < SEEN_EVERY {
                return Ok(());
            }
            session.clients.extend(new);
            session.last_seen = now;
            let change = record::put(&*session, Expect::Version(stored.version))?;
            match self.store().commit(vec![change], Durability::Soon, now).await {
                Ok(_) => return Ok(()),
                Err(fault) if !fault.is_conflict() => return Err(fault.into()),
                Err(_) => {}
            }
            // Another tab was faster: on top of what it wrote.
            let sid = stored.record.sid.clone();
            match record::get::<Session>(self.store(), sid, now).await?.filter(|stored| !stored.dead) {
                Some(newer) => stored = newer,
                None => return Ok(()),
            }
        }
        let left_out = client_id.is_some_and(|id| !stored.record.clients.iter().any(|known| known == id));
        // A client that is not written down would not hear of a logout.
        if left_out { Err(unavailable("the session keeps changing")) } else { Ok(()) }
    }
}
