//! Ending tokens. Always in this order: the mark is committed, then the lives in memory end (and what was busy has
//! settled), then the call returns. Children are never enumerated; they find the mark.

use super::introspect;
use super::life::Parent;
use super::parents::{Bonds, Marked};
use super::refresh::RefreshToken;
use crate::base::clock::Timestamp;
use crate::base::encode::base64url;
use crate::base::secret::sha256;
use crate::op::Op;
use crate::op::error::{Result, unavailable};
use crate::op::notify;
use crate::op::record::access::Access;
use crate::op::record::denied::Denied;
use crate::op::record::family::{self, Family};
use crate::op::record::mark::Mark;
use crate::op::record::session::{self, Session};
use crate::op::settings::Offline;
use crate::store::record::{self, Stored, delete, index, put};
use crate::store::{Change, Durability, Expect, Fault, MAX_PAGE, Range};
use futures_util::stream::{self, StreamExt};

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 16;
/// Sessions that are ended at the same time: commits that wait for the disk together cost what one costs.
const AT_ONCE: usize = 32;

/// What came of a request to revoke a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revoked {
    /// It is not active (any more).
    Done,
    /// It is another client's; nothing was done.
    NotTheirs,
}

/// Revokes `token` for `client_id` (RFC 7009 §2.1): an access token alone, a refresh token with its whole family.
pub async fn token(op: &Op, token: &str, client_id: &str, now: Timestamp) -> Result<Revoked> {
    if let Some(refresh) = RefreshToken::read(op, token) {
        let family = record::get::<Family>(op.store(), refresh.family.clone(), now).await?;
        return match family {
            None => Ok(Revoked::Done),
            Some(stored) if stored.record.authorization.client_id != client_id => Ok(Revoked::NotTheirs),
            Some(_) => family_of(op, &refresh.family, now).await.map(|()| Revoked::Done),
        };
    }
    let mut bonds = Bonds::new(op);
    let Some(claims) = introspect::claims(op, token, &mut bonds, now).await? else {
        return Ok(Revoked::Done);
    };
    if claims.client_id != client_id {
        return Ok(Revoked::NotTheirs);
    }
    let opaque = !token.contains('.');
    let (change, parent) = if opaque {
        let digest = base64url(&sha256(token.as_bytes()));
        (delete::<Access>(digest.clone(), Expect::Anything), Parent::Token(digest))
    } else {
        let denied = Denied { jti: claims.jti.clone(), expires: claims.exp };
        (put(&denied, Expect::Anything)?, Parent::Token(claims.jti))
    };
    op.store().commit(vec![change], Durability::Durable, now).await?;
    op.lives().end(&parent).await;
    Ok(Revoked::Done)
}

/// Ends every token descended from one authorization. Nothing to do if the family is gone or dead.
pub async fn family_of(op: &Op, id: &str, now: Timestamp) -> Result<()> {
    if let Some(Stored { mut record, dead: false, .. }) =
        record::get::<Family>(op.store(), id.to_owned(), now).await?
    {
        record.revoked = true;
        // Whatever a refresh that was faster has written: the family is dead, so the rest of it does not matter.
        match op.store().commit(vec![put(&record, Expect::Alive)?], Durability::Durable, now).await {
            Ok(_) => {}
            Err(fault) if fault.is_conflict() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    op.lives().end(&Parent::Family(id.to_owned())).await;
    Ok(())
}

/// Ends a browser session: its access tokens die, and its refresh tokens without `offline_access`. Families with it
/// live on, unless `op.logout.offline` says otherwise; their next tokens are bound to no session. The clients that
/// want to be told are: that is committed with the end. Returns the session as it was, if it was alive.
pub async fn session(op: &Op, sid: &str, now: Timestamp) -> Result<Option<Session>> {
    let offline_too = op.settings.logout.offline == Offline::Revoke;
    if offline_too {
        // Before: if the rest of this fails, too little is left rather than too much.
        families_of_session(op, sid, now).await?;
    }
    for _ in 0..ATTEMPTS {
        let stored = record::get::<Session>(op.store(), sid.to_owned(), now).await?;
        let Some(Stored { record, dead: false, version }) = stored else {
            op.lives().end(&Parent::Session(sid.to_owned())).await;
            return Ok(None);
        };
        let ended = Session { ended: true, ..record.clone() };
        let notices = notify::notices(op, &record, now).await?;
        let mut changes = vec![put(&ended, Expect::Version(version))?];
        for notice in &notices {
            changes.push(put(notice, Expect::Anything)?);
        }
        match op.store().commit(changes, Durability::Durable, now).await {
            Ok(_) => {
                op.lives().end(&Parent::Session(sid.to_owned())).await;
                notify::begin(op, &notices);
                if offline_too {
                    // Those that were founded in between; the session has ended, so there will be no more.
                    families_of_session(op, sid, now).await?;
                }
                return Ok(Some(record));
            }
            Err(fault) if fault.is_conflict() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(unavailable("the session keeps changing"))
}

async fn families_of_session(op: &Op, sid: &str, now: Timestamp) -> Result<()> {
    let range = Range::Index(index(family::BY_SESSION, sid));
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = record::list::<Family>(op.store(), &range, after.as_deref(), MAX_PAGE, now).await?;
        for stored in page.iter().filter(|stored| !stored.dead) {
            family_of(op, &stored.record.id, now).await?;
        }
        match page.last() {
            Some(last) if page.len() == MAX_PAGE => after = Some(last.record.id.clone().into_bytes()),
            _ => return Ok(()),
        }
    }
}

/// Ends all that was issued to a client so far; `disable`: nothing new is issued either.
pub async fn client(op: &Op, client_id: &str, disable: bool) -> Result<()> {
    mark(op, Mark::of_client(client_id), disable, Vec::new()).await?;
    op.lives().end(&Parent::Client(client_id.to_owned())).await;
    Ok(())
}

/// Ends all that was issued for an account so far, its sessions too; `disable`: nothing new is issued
/// either, until [`enable_account`]. The mark ended the sessions; that they are gone through one by one is for the
/// clients that want to be told.
pub async fn account(op: &Op, account: &str, disable: bool) -> Result<()> {
    account_with(op, account, disable, Vec::new()).await
}

/// The same, and `changes` (a new password, say) in one commit with the mark, or nothing at all.
pub async fn account_with(op: &Op, account: &str, disable: bool, changes: Vec<Change>) -> Result<()> {
    let since = mark(op, Mark::of_account(account), disable, changes).await?;
    op.lives().end(&Parent::Account(account.to_owned())).await;
    let range = Range::Index(index(session::BY_ACCOUNT, account));
    let mut after: Option<Vec<u8>> = None;
    loop {
        let now = op.now();
        let page = record::list::<Session>(op.store(), &range, after.as_deref(), MAX_PAGE, now).await?;
        let ended = page.iter().filter(|stored| !stored.dead && stored.record.created <= since);
        let ended: Vec<_> = ended.map(|stored| session(op, &stored.record.sid, now)).collect();
        for some in stream::iter(ended).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
            some?;
        }
        match page.last() {
            Some(last) if page.len() == MAX_PAGE => after = Some(last.record.sid.clone().into_bytes()),
            _ => return Ok(()),
        }
    }
}

/// Lifts `disable`: what was issued before stays dead.
pub async fn enable_account(op: &Op, account: &str) -> Result<()> {
    let of = Mark::of_account(account);
    for _ in 0..ATTEMPTS {
        let now = op.now();
        let found = Marked::find(op, of.clone(), now).await?;
        let Some(mark) = found.record().filter(|mark| mark.disabled) else { return Ok(()) };
        let enabled = Mark { disabled: false, ..mark.clone() };
        match op.store().commit(vec![put(&enabled, found.unchanged())?], Durability::Durable, now).await {
            Ok(_) => return Ok(()),
            Err(fault) if fault.is_conflict() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(unavailable("the mark keeps changing"))
}

/// Writes the mark. A mark says "up to this second", so it is written again if the second passed while it was being
/// written: nothing that was issued before the commit may be younger than the mark. `besides` is written with it once.
/// Returns that second.
async fn mark(op: &Op, of: String, disable: bool, mut besides: Vec<Change>) -> Result<Timestamp> {
    for _ in 0..ATTEMPTS {
        let now = op.now();
        let found = Marked::find(op, of.clone(), now).await?;
        let was_disabled = found.disabled();
        let before = found.record().map_or(Timestamp::default(), |mark| mark.dead_since);
        let mark = Mark { of: of.clone(), dead_since: now.max(before), disabled: disable || was_disabled };
        let mut changes = vec![put(&mark, found.unchanged())?];
        changes.extend(besides.iter().cloned());
        match op.store().commit(changes, Durability::Durable, now).await {
            Ok(_) if op.now() <= mark.dead_since => return Ok(mark.dead_since),
            Ok(_) => besides.clear(),
            // Somebody else marked it meanwhile.
            Err(Fault::Conflict { position: 0 }) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(unavailable("the mark could not be written within one second"))
}

#[cfg(test)]
mod tests;
