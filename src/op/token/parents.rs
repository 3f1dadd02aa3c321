//! What a token's validity hangs on, asked of the store. Whoever asks has obtained the parent's life before, so that
//! no revocation falls between the two.

use super::life::{Dead, Life, Parent};
use crate::base::clock::Timestamp;
use crate::op::Op;
use crate::op::record::family::{Family, Origin};
use crate::op::record::mark::Mark;
use crate::store::record::{self, Stored, check};
use crate::store::{Change, Expect, Fault};
use std::sync::Arc;

/// The lives of a token's parents, as they are obtained.
pub struct Bonds<'a> {
    op: &'a Op,
    lives: Vec<Arc<Life>>,
}

impl<'a> Bonds<'a> {
    pub fn new(op: &'a Op) -> Bonds<'a> {
        Bonds { op, lives: Vec::with_capacity(6) }
    }

    /// From here on the end of `parent` is not missed.
    pub fn tie(&mut self, parent: Parent) {
        self.lives.push(self.op.lives().of(parent));
    }

    /// The same for all that a token was exchanged for.
    pub fn tie_origins(&mut self, origins: &[Origin]) {
        for origin in origins {
            self.tie(Parent::Client(origin.client_id.clone()));
            if let Some(family) = &origin.family {
                self.tie(Parent::Family(family.clone()));
            }
        }
    }

    /// A life that ends with any of the parents; refused if one has ended since it was tied.
    pub fn life(&self) -> Result<Arc<Life>, Dead> {
        Life::child(&self.lives)
    }
}

/// The mark on a client or an account, as it was found: present or not, it can be held to that in a commit.
pub struct Marked {
    of: String,
    stored: Option<Stored<Mark>>,
}

impl Marked {
    pub async fn client(op: &Op, client_id: &str, now: Timestamp) -> Result<Marked, Fault> {
        Marked::find(op, Mark::of_client(client_id), now).await
    }

    pub async fn account(op: &Op, account: &str, now: Timestamp) -> Result<Marked, Fault> {
        Marked::find(op, Mark::of_account(account), now).await
    }

    pub(super) async fn find(op: &Op, of: String, now: Timestamp) -> Result<Marked, Fault> {
        let stored = record::get::<Mark>(op.store(), of.clone(), now).await?;
        Ok(Marked { of, stored })
    }

    /// Whether something issued at `issued` may still live.
    pub fn spares(&self, issued: Timestamp) -> bool {
        self.stored
            .as_ref()
            .is_none_or(|Stored { record: mark, .. }| !mark.disabled && issued > mark.dead_since)
    }

    /// Nothing may be issued: disabled, or removed.
    pub fn disabled(&self) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.record.disabled)
    }

    pub fn record(&self) -> Option<&Mark> {
        self.stored.as_ref().map(|stored| &stored.record)
    }

    /// The expectation that nobody touched the mark since.
    pub fn unchanged(&self) -> Expect {
        self.stored.as_ref().map_or(Expect::Absent, |stored| Expect::Version(stored.version))
    }

    /// Holds a commit to it.
    pub fn check(&self) -> Change {
        check::<Mark>(self.of.clone(), self.unchanged())
    }
}

/// Whether everything lives that a token was exchanged for; the account is the same for all of them. Their lives were
/// tied before.
pub async fn origins_live(
    op: &Op,
    origins: &[Origin],
    account: &Marked,
    now: Timestamp,
) -> Result<bool, Fault> {
    for origin in origins {
        if !account.spares(origin.created)
            || !Marked::client(op, &origin.client_id, now).await?.spares(origin.created)
        {
            return Ok(false);
        }
        let Some(family) = &origin.family else { continue };
        let family = record::get::<Family>(op.store(), family.clone(), now).await?;
        if family.is_none_or(|family| family.dead) {
            return Ok(false);
        }
    }
    Ok(true)
}
