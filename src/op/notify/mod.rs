//! Telling clients that a session ended (OpenID Connect Back-Channel Logout §2.5). What is to be told stands in the store,
//! committed with the session's end; in memory is only the order in which it is due. The server calls
//! [`Op::deliver`] from a few tasks of its own, so a client that is down holds up neither a logout nor the others.

mod queue;
#[cfg(test)]
mod tests;

pub use queue::Queue;

use super::error::Result;
use super::record::notice::Notice;
use super::record::session::Session;
use super::token::logout_token;
use super::{Fault, Op};
use crate::base::clock::Timestamp;
use crate::store::record::{self, Record, Stored, delete, put};
use crate::store::{Durability, Expect, MAX_PAGE, Range};
use bytes::Bytes;
use http::StatusCode;
use queue::Turn;
use std::time::Duration;

/// Whoever delivers a notice keeps it to itself for so long, also if it is never heard of again.
const LEASE: Duration = Duration::from_secs(60);
/// The pause after the first attempt; each further one is twice as long, up to [`MAX_PAUSE`].
const FIRST_PAUSE: u64 = 2;
const MAX_PAUSE: u64 = 3_600;
/// The store is read anew this often: a process that crashed, or another one, may have left something.
const READ_EVERY: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes: nothing in it matters.
const MAX_ANSWER: usize = 64 << 10;

/// What became of one attempt.
enum Outcome {
    Taken,
    /// §2.8: the client says that it could not do it; asking again would not help.
    Refused,
    Failed(String),
}

/// The notices that the end of `session` causes: one for each client of it that wants to be told.
pub(super) async fn notices(op: &Op, session: &Session, now: Timestamp) -> Result<Vec<Notice>> {
    let mut notices = Vec::new();
    for id in &session.clients {
        let Some(client) = op.client(id, now).await? else { continue };
        if client.metadata.backchannel_logout_uri.is_none() {
            continue;
        }
        let give_up = op.settings.logout.retry_for.0.max(LEASE);
        notices.push(Notice {
            client_id: id.clone(),
            sid: session.sid.clone(),
            subject: op.subject(&client, &session.account),
            ended: now,
            attempts: 0,
            due: now,
            expires: now.plus(give_up),
        });
    }
    Ok(notices)
}

/// Has committed `notices` delivered at once.
pub(super) fn begin(op: &Op, notices: &[Notice]) {
    for notice in notices {
        op.notices().push(notice);
    }
}

impl Op {
    /// Delivers one notice that is due, if there is any; `false`: nothing to do until [`Op::until_notice`]. Meant to
    /// be called by several tasks at once: as many deliveries are under way at most.
    ///
    /// # Errors
    /// The store does not work. What was not delivered is tried again.
    pub async fn deliver(&self) -> std::result::Result<bool, Fault> {
        let Some(turn) = self.notices().turn(self.now()) else { return Ok(false) };
        deliver(self, &turn).await?;
        Ok(true)
    }

    /// Until there may be something to deliver. Notices that fell due meanwhile do not ring: look every second too.
    pub async fn until_notice(&self) {
        self.notices().bell().rung().await;
    }

    /// Logout tokens that clients took, refused or never took, and notices that wait, in this process.
    pub fn notice_counts(&self) -> [u64; 4] {
        self.notices().counts()
    }

    /// Takes over what others left in the store.
    pub(super) async fn tend_notices(&self, now: Timestamp) -> std::result::Result<(), Fault> {
        if !self.notices().is_to_be_read(now) {
            return Ok(());
        }
        // First: what does not fit while it is read brings the next reading forward.
        self.notices().was_read(now.plus(READ_EVERY));
        let mut after: Option<Vec<u8>> = None;
        loop {
            let shelf = Range::Shelf(Notice::SHELF);
            let page = record::list::<Notice>(self.store(), &shelf, after.as_deref(), MAX_PAGE, now).await?;
            for stored in &page {
                self.notices().push(&stored.record);
            }
            match page.last() {
                Some(last) if page.len() == MAX_PAGE => after = Some(last.record.id().to_vec()),
                _ => return Ok(()),
            }
        }
    }

    fn notices(&self) -> &Queue {
        &self.shared.notices
    }
}

async fn deliver(op: &Op, turn: &Turn<'_>) -> std::result::Result<(), Fault> {
    let now = op.now();
    let Some(stored) = record::get::<Notice>(op.store(), turn.id.clone(), now).await? else { return Ok(()) };
    if stored.record.due > now {
        // Somebody else is at it.
        op.notices().push(&stored.record);
        return Ok(());
    }
    let claimed = Notice { attempts: stored.record.attempts + 1, due: now.plus(LEASE), ..stored.record };
    let change = put(&claimed, Expect::Version(stored.version))?;
    // Losing this in a crash makes the client hear of it twice, which does no harm.
    let version = match op.store().commit(vec![change], Durability::Soon, now).await {
        Ok(version) => version,
        Err(fault) if fault.is_conflict() => return Ok(()),
        Err(fault) => return Err(fault.into()),
    };
    let outcome = match attempt(op, &claimed, now).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error.cause.unwrap_or_else(|| error.says.into_owned())),
    };
    settle(op, Stored { record: claimed, version, dead: false }, outcome).await
}

async fn attempt(op: &Op, notice: &Notice, now: Timestamp) -> Result<Outcome> {
    // As it is registered now: a client may have moved.
    let client = op.client(&notice.client_id, now).await?;
    let Some((client, uri)) = client.and_then(|client| {
        let uri = client.metadata.backchannel_logout_uri.clone()?;
        Some((client, uri))
    }) else {
        return Ok(Outcome::Taken);
    };
    let token = logout_token::sign(op, &client, notice, now).await?;
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
    let answer = op.shared.kit.fetch.post(
        &uri,
        "application/x-www-form-urlencoded",
        Bytes::from(form),
        "*/*",
        MAX_ANSWER,
    );
    Ok(match answer.await {
        // §2.8: 200, and 204, which some frameworks make of it.
        Ok(answer) if [StatusCode::OK, StatusCode::NO_CONTENT].contains(&answer.status) => Outcome::Taken,
        Ok(answer) if answer.status == StatusCode::BAD_REQUEST => Outcome::Refused,
        Ok(answer) => Outcome::Failed(format!("it answered {}", answer.status.as_u16())),
        Err(fault) => Outcome::Failed(fault.to_string()),
    })
}

async fn settle(op: &Op, stored: Stored<Notice>, outcome: Outcome) -> std::result::Result<(), Fault> {
    let (notice, now) = (stored.record, op.now());
    let retry = |notice: &Notice| {
        let pause = FIRST_PAUSE.saturating_pow(notice.attempts.min(16)).min(MAX_PAUSE);
        let due = now.plus(Duration::from_secs(pause));
        (due < notice.ended.plus(op.settings.logout.retry_for.0)).then(|| Notice { due, ..notice.clone() })
    };
    let (id, client, sid, attempts) = (notice.id(), &notice.client_id, &notice.sid, notice.attempts);
    let again = match outcome {
        Outcome::Taken => None,
        Outcome::Refused => {
            tracing::warn!(client, sid, "a client refused a logout token");
            None
        }
        Outcome::Failed(ref why) => {
            let again = retry(&notice);
            match again {
                Some(_) => {
                    tracing::warn!(client, sid, attempts, %why, "a logout token was not delivered; trying again")
                }
                None => {
                    tracing::warn!(client, sid, attempts, %why, "a logout token was never delivered");
                    tracing::info!(target: "audit", client, sid, attempts, "logout token given up");
                }
            }
            again
        }
    };
    let change = match &again {
        Some(again) => put(again, Expect::Version(stored.version))?,
        None => delete::<Notice>(id, Expect::Version(stored.version)),
    };
    match op.store().commit(vec![change], Durability::Soon, now).await {
        Err(fault) if !fault.is_conflict() => return Err(fault.into()),
        _ => {}
    }
    match (&again, outcome) {
        (Some(again), _) => {
            op.notices().push(again);
        }
        (None, Outcome::Taken) => op.notices().tally.taken.add(),
        (None, Outcome::Refused) => op.notices().tally.refused.add(),
        (None, Outcome::Failed(_)) => op.notices().tally.given_up.add(),
    }
    Ok(())
}
