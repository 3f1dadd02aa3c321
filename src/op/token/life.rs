//! Lives: what a token's validity hangs on, as atomics in memory.
//!
//! A token's life is a child of its parents' (family, session, client, account). Ending a parent ends the children
//! that are in memory, in the calling thread; children that are not in memory find the parent's mark in the store.
//! Hence the order that never lets a revoked token through: a miss obtains the lives *before* it reads the store, a
//! revocation commits *before* it ends the lives. Live exchanges hang on a life through hooks; what a hook does is
//! the proxy's business.

use ahash::RandomState;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Called once, in the thread that ends the life. What cannot end at once is returned as a future that settles it.
pub type Hook = Box<dyn FnOnce() -> Option<BoxFuture<'static, ()>> + Send>;

/// The life has ended: nothing may be bound to it any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("what this depends on is no longer valid")]
pub struct Dead;

/// Something tokens and exchanges depend on. Once ended it stays ended.
#[derive(Default)]
pub struct Life {
    dead: AtomicBool,
    next: AtomicU64,
    bound: Mutex<Bound>,
    /// Keeps the parents' registry entries (and their link to this child) as long as the child is held.
    parents: Vec<(Arc<Life>, u64)>,
}

#[derive(Default)]
struct Bound {
    children: HashMap<u64, Weak<Life>, RandomState>,
    hooks: HashMap<u64, Hook, RandomState>,
}

impl Life {
    /// A life that depends on nothing else.
    pub fn root() -> Arc<Life> {
        Arc::new(Life::default())
    }

    /// A life that ends with any of `parents`; refused if one has ended already.
    pub fn child(parents: &[Arc<Life>]) -> Result<Arc<Life>, Dead> {
        let mut child = Life::default();
        child.parents = parents.iter().map(|parent| (parent.clone(), parent.number())).collect();
        let child = Arc::new(child);
        for (parent, number) in &child.parents {
            let mut bound = parent.bound.lock();
            // Under the lock `end` takes: either it sees the child, or the child sees that it is dead.
            if parent.is_dead() {
                return Err(Dead);
            }
            bound.children.insert(*number, Arc::downgrade(&child));
        }
        Ok(child)
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Runs `hook` when this life ends. Refused if it has ended already. The number is for [`Life::detach`].
    pub fn attach(&self, hook: Hook) -> Result<u64, Dead> {
        let number = self.number();
        let mut bound = self.bound.lock();
        if self.is_dead() {
            return Err(Dead);
        }
        bound.hooks.insert(number, hook);
        Ok(number)
    }

    pub fn detach(&self, number: u64) {
        // Dropped after the lock is gone: a hook's captures may have destructors of their own.
        let _hook = self.bound.lock().hooks.remove(&number);
    }

    /// Ends this life and all that depend on it. When the call returns, nothing new can be bound and every hook
    /// has run; the future resolves when the exchanges that were busy at that instant have gone too.
    #[must_use = "await it before the revocation is answered"]
    pub fn end(&self) -> BoxFuture<'static, ()> {
        let mut settling = Vec::new();
        self.end_into(&mut settling);
        if settling.is_empty() {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(async move {
            join_all(settling).await;
        })
    }

    fn end_into(&self, settling: &mut Vec<BoxFuture<'static, ()>>) {
        let Bound { children, hooks } = {
            let mut bound = self.bound.lock();
            self.dead.store(true, Ordering::Release);
            std::mem::take(&mut *bound)
        };
        for child in children.into_values().filter_map(|child| child.upgrade()) {
            child.end_into(settling);
        }
        settling.extend(hooks.into_values().filter_map(|hook| hook()));
    }

    /// How many children and hooks hang on it; for metrics and tests.
    pub fn bound(&self) -> usize {
        let bound = self.bound.lock();
        bound.children.len() + bound.hooks.len()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        for (parent, number) in &self.parents {
            parent.bound.lock().children.remove(number);
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_dead() { "Life(ended)" } else { "Life" })
    }
}

/// What a life belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Parent {
    /// Every token descended from one authorization.
    Family(String),
    /// A browser session at the provider, by its `sid`.
    Session(String),
    Client(String),
    Account(String),
    /// One access token, by its `jti` or the digest of its handle.
    Token(String),
    /// One of our signing keys, by its `kid`: it ends when the key is revoked.
    Key(String),
}

const SHARDS: usize = 64;

/// The lives in memory: one per parent, as long as somebody holds it.
pub struct Lives {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Parent, Weak<Life>, RandomState>>>,
}

impl Default for Lives {
    fn default() -> Lives {
        Lives { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Lives {
    /// The living life of `parent`, made if there is none. An ended one is replaced: what ended it is in the store,
    /// and whoever obtained the new one reads the store afterwards.
    pub fn of(&self, parent: Parent) -> Arc<Life> {
        let Some(shard) = self.shard(&parent) else { return Life::root() };
        let mut lives = shard.lock();
        if let Some(life) = lives.get(&parent).and_then(Weak::upgrade).filter(|life| !life.is_dead()) {
            return life;
        }
        // Each shard forgets its dropped lives before it grows.
        if lives.len() == lives.capacity() {
            lives.retain(|_, life| life.strong_count() > 0);
        }
        let life = Life::root();
        lives.insert(parent, Arc::downgrade(&life));
        life
    }

    /// Ends the life of `parent`, if it is in memory. Call it after the mark was committed.
    #[must_use = "await it before the revocation is answered"]
    pub fn end(&self, parent: &Parent) -> BoxFuture<'static, ()> {
        let life =
            self.shard(parent).and_then(|shard| shard.lock().remove(parent)).and_then(|life| life.upgrade());
        life.map_or_else(|| -> BoxFuture<'static, ()> { Box::pin(std::future::ready(())) }, |life| life.end())
    }

    fn shard(&self, parent: &Parent) -> Option<&Mutex<HashMap<Parent, Weak<Life>, RandomState>>> {
        let hash = self.hasher.hash_one(parent);
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        self.shards.get(usize::try_from(hash % shards).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn counting(count: &Arc<AtomicUsize>) -> Hook {
        let count = count.clone();
        Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            None
        })
    }

    #[test]
    fn ending_a_parent_ends_its_children_and_their_hooks() {
        let (family, client) = (Life::root(), Life::root());
        let token = Life::child(&[family.clone(), client.clone()]).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        token.attach(counting(&count)).unwrap();
        drop(family.end());
        assert!(token.is_dead() && !client.is_dead());
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!(token.attach(counting(&count)), Err(Dead));
        assert!(Life::child(&[family, client]).is_err());
    }

    #[test]
    fn a_child_that_is_dropped_leaves_no_trace() {
        let family = Life::root();
        let token = Life::child(std::slice::from_ref(&family)).unwrap();
        assert_eq!(family.bound(), 1);
        drop(token);
        assert_eq!(family.bound(), 0);
    }

    #[test]
    fn a_detached_hook_does_not_run() {
        let (life, count) = (Life::root(), Arc::new(AtomicUsize::new(0)));
        let number = life.attach(counting(&count)).unwrap();
        life.detach(number);
        drop(life.end());
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_verdicts_life_dies_even_when_the_registry_was_asked_again() {
        let lives = Lives::default();
        let held = lives.of(Parent::Client("c".into()));
        drop(lives.end(&Parent::Client("c".into())));
        assert!(held.is_dead());
        assert!(!lives.of(Parent::Client("c".into())).is_dead());
    }

    /// Whatever the interleaving: a child made around the end of its parent is refused or dies.
    #[test]
    fn no_child_survives_its_parent() {
        for _ in 0..500 {
            let family = Life::root();
            let other = family.clone();
            let maker = std::thread::scope(|scope| {
                let maker = scope.spawn(|| {
                    (0..20).map(|_| Life::child(std::slice::from_ref(&family))).collect::<Vec<_>>()
                });
                drop(other.end());
                maker.join().unwrap()
            });
            assert!(maker.iter().flatten().all(|child| child.is_dead()));
        }
    }
}
