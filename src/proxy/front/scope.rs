//! Kill scopes: a live exchange that somebody else can end, at once and from any thread.
//!
//! A [`Scope`] owns the future it runs. Whoever cuts it takes that future out and drops it *there and then*: sockets
//! close and HTTP/2 streams are reset before `cut` returns, whether or not the task would have been scheduled. Only a
//! future that another thread is polling this instant cannot be taken; its poller drops it when that poll returns.

use super::connections::Place;
use crate::op::{Dead, Life};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use tokio::sync::SetOnce;

tokio::task_local! {
    static CURRENT: Arc<Scope>;
}

struct Work {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    waker: Option<Waker>,
}

/// What an exchange runs in: one for an HTTP/1 connection, one for each HTTP/2 stream.
pub struct Scope {
    /// Locked while the work is polled and while its destructors run; `cut` only ever tries the lock.
    work: Mutex<Option<Work>>,
    cut: AtomicBool,
    bindings: Mutex<Vec<(Arc<Life>, u64)>>,
    over: SetOnce<()>,
}

impl Scope {
    /// Runs `work` in a scope of its own; `place` is given back when the scope is gone.
    pub(super) fn run(work: impl Future<Output = ()> + Send + 'static, place: Option<Place>) -> Run {
        let work = Work { future: Box::pin(work), waker: None };
        let scope = Arc::new(Scope {
            work: Mutex::new(Some(work)),
            cut: AtomicBool::new(false),
            bindings: Mutex::default(),
            over: SetOnce::new(),
        });
        Run { scope, _place: place }
    }

    /// The scope that this thread is polling, or whose work it is dropping.
    pub fn current() -> Option<Arc<Scope>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// From now on this scope ends with `life`; refused if that has ended already.
    pub fn bind(self: &Arc<Self>, life: &Arc<Life>) -> Result<(), Dead> {
        if self.bindings.lock().iter().any(|(bound, _)| Arc::ptr_eq(bound, life)) {
            // The hook is gone if the life ended meanwhile: this exchange was cut then, or spared because it asked.
            return if life.is_dead() { Err(Dead) } else { Ok(()) };
        }
        let scope = self.clone();
        let number = life.attach(Box::new(move || scope.cut()))?;
        self.bindings.lock().push((life.clone(), number));
        Ok(())
    }

    /// A kept-alive connection carries no binding into its next exchange.
    pub(super) fn unbind(&self) {
        let bindings = std::mem::take(&mut *self.bindings.lock());
        for (life, number) in bindings {
            life.detach(number);
        }
    }

    /// Whether somebody has ended it. Destructors ask this to tell a cut exchange from one that was left.
    pub fn is_cut(&self) -> bool {
        self.cut.load(SeqCst)
    }

    /// Ends the work. `None`: it is gone. Otherwise another thread is polling it; the future resolves when that
    /// thread has dropped it. A scope that cuts itself is spared, so that who revokes his own token gets an answer.
    pub fn cut(self: &Arc<Self>) -> Option<BoxFuture<'static, ()>> {
        if CURRENT.try_with(|current| Arc::ptr_eq(current, self)).unwrap_or(false) {
            return None;
        }
        self.cut.store(true, SeqCst);
        // Never wait for the lock here: two exchanges that end each other would wait for ever.
        if let Some(mut slot) = self.work.try_lock() {
            self.finish(&mut slot);
            return None;
        }
        let scope = self.clone();
        Some(Box::pin(async move {
            scope.over.wait().await;
        }))
    }

    fn finish(self: &Arc<Self>, slot: &mut Option<Work>) {
        let Some(Work { future, waker }) = slot.take() else { return };
        // Destructors may ask whether they are being cut (the access log does).
        CURRENT.sync_scope(self.clone(), || drop(future));
        // Set once only: the slot was full until now.
        let _ = self.over.set(());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The task's side of a scope: polls the work as long as it is there.
pub struct Run {
    scope: Arc<Scope>,
    _place: Option<Place>,
}

impl Run {
    pub(super) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }
}

impl Future for Run {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let scope = &self.scope;
        {
            let mut slot = scope.work.lock();
            if scope.is_cut() {
                scope.finish(&mut slot);
            }
            let Some(work) = slot.as_mut() else { return Poll::Ready(()) };
            match &mut work.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            if CURRENT.sync_scope(scope.clone(), || work.future.as_mut().poll(cx)).is_ready() {
                scope.finish(&mut slot);
                return Poll::Ready(());
            }
        }
        // Asked again after the lock is gone: `cut` either got the lock or is seen here.
        if scope.is_cut() {
            scope.finish(&mut scope.work.lock());
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.scope.finish(&mut self.scope.work.lock());
        self.scope.unbind();
    }
}

#[cfg(test)]
mod tests;
