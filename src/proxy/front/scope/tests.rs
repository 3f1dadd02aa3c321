//! Scopes against lives, without a server.
#![expect(clippy::disallowed_methods, reason = "tests spawn; the test's runtime ends what they spawn")]

use super::*;
use crate::proxy::front::Connections;
use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// Set when it is dropped; remembers whether it was dropped in a cut scope.
struct Flag(Arc<AtomicUsize>);

const LEFT: usize = 1;
const CUT: usize = 2;

impl Drop for Flag {
    fn drop(&mut self) {
        let cut = Scope::current().is_some_and(|scope| scope.is_cut());
        self.0.store(if cut { CUT } else { LEFT }, SeqCst);
    }
}

fn flag() -> (Flag, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    (Flag(seen.clone()), seen)
}

/// Binds itself to the life as a policy does, then goes on.
fn bound(life: &Arc<Life>, work: impl Future<Output = ()> + Send + 'static) -> Run {
    let life = life.clone();
    let work = async move {
        if Scope::current().unwrap().bind(&life).is_ok() {
            work.await;
        }
    };
    Scope::run(work, None)
}

#[tokio::test]
async fn a_waiting_exchange_is_gone_when_end_returns() {
    let life = Life::root();
    let (flag, seen) = flag();
    let mut run = Box::pin(bound(&life, async move {
        let _flag = flag;
        pending().await
    }));
    assert!(futures_util::poll!(run.as_mut()).is_pending());
    let settled = life.end();
    assert_eq!(seen.load(SeqCst), CUT);
    settled.await;
    assert!(futures_util::poll!(run.as_mut()).is_ready());
}

#[tokio::test]
async fn an_exchange_left_by_its_task_does_not_look_cut() {
    let life = Life::root();
    let (flag, seen) = flag();
    let mut run = Box::pin(bound(&life, async move {
        let _flag = flag;
        pending().await
    }));
    assert!(futures_util::poll!(run.as_mut()).is_pending());
    assert_eq!(life.bound(), 1);
    drop(run);
    assert_eq!((seen.load(SeqCst), life.bound()), (LEFT, 0));
}

#[tokio::test]
async fn binding_to_a_dead_life_is_refused() {
    let life = Life::root();
    life.end().await;
    let refused = Arc::new(AtomicBool::new(false));
    let (inner, outcome) = (life.clone(), refused.clone());
    let work = async move { outcome.store(Scope::current().unwrap().bind(&inner) == Err(Dead), SeqCst) };
    Scope::run(work, None).await;
    assert!(refused.load(SeqCst));
}

#[tokio::test]
async fn a_binding_is_made_once_and_ends_with_the_exchange() {
    let life = Life::root();
    let (flag, seen) = flag();
    let inner = life.clone();
    let mut run = Box::pin(Scope::run(
        async move {
            let _flag = flag;
            let scope = Scope::current().unwrap();
            scope.bind(&inner).unwrap();
            scope.bind(&inner).unwrap();
            assert_eq!(inner.bound(), 1);
            scope.unbind();
            drop(scope);
            pending().await
        },
        None,
    ));
    assert!(futures_util::poll!(run.as_mut()).is_pending());
    life.end().await;
    assert_eq!((seen.load(SeqCst), life.bound()), (0, 0));
    drop(run);
}

#[tokio::test]
async fn who_revokes_itself_still_answers() {
    let life = Life::root();
    let answered = Arc::new(AtomicBool::new(false));
    let (inner, outcome) = (life.clone(), answered.clone());
    bound(&life, async move {
        inner.end().await;
        tokio::task::yield_now().await;
        outcome.store(true, SeqCst);
    })
    .await;
    assert!(answered.load(SeqCst));
}

#[tokio::test]
async fn outside_a_scope_there_is_none() {
    Scope::run(async { assert!(Scope::current().is_some()) }, None).await;
    assert!(Scope::current().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exchanges_that_end_each_other_do_not_deadlock() {
    for _ in 0..1000 {
        let (a, b) = (Life::root(), Life::root());
        let (first, second) = (a.clone(), b.clone());
        let x = tokio::task::spawn(bound(&a, async move { second.end().await }));
        let y = tokio::task::spawn(bound(&b, async move { first.end().await }));
        let both = async { (x.await.unwrap(), y.await.unwrap()) };
        // The limit is what a deadlock would run into; it never decides which side is right.
        tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
        assert_eq!((a.bound(), b.bound()), (0, 0));
    }
}

/// However busy the exchange is on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_is_taken_after_the_end_has_settled() {
    for _ in 0..1000 {
        let (life, steps) = (Life::root(), Arc::new(AtomicUsize::new(0)));
        let counter = steps.clone();
        let task = tokio::task::spawn(bound(&life, async move {
            loop {
                counter.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
            }
        }));
        while steps.load(SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        life.end().await;
        let taken = steps.load(SeqCst);
        tokio::task::yield_now().await;
        assert_eq!(taken, steps.load(SeqCst));
        task.await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_counted_ended_and_then_refused() {
    let connections = Arc::new(Connections::default());
    let (flag, seen) = flag();
    let work = async move {
        let _flag = flag;
        pending().await
    };
    let first = tokio::task::spawn(connections.connection(work).unwrap());
    let stream = tokio::task::spawn(connections.stream(async {}));
    let mut emptied = Box::pin(connections.emptied());
    stream.await.unwrap();
    assert_eq!(connections.count(), 1);
    assert!(futures_util::poll!(emptied.as_mut()).is_pending());
    assert_eq!(connections.end_all().await, 1);
    emptied.await;
    assert_eq!((connections.count(), seen.load(SeqCst)), (0, CUT));
    first.await.unwrap();
    assert!(connections.connection(async {}).is_none());
}

#[tokio::test]
async fn draining_waits_for_the_accept_loops_and_the_last_stream() {
    let connections = Arc::new(Connections::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let log = order.clone();
    let stream = tokio::task::spawn(connections.stream(async move {
        held.await.unwrap();
        log.lock().push("stream");
    }));
    let drained = async {
        connections.drained().await;
        order.lock().push("drained");
    };
    let others = async {
        assert!(connections.accepting());
        connections.stop_accepting();
        assert!(!connections.accepting());
        // Twice the moment `drained` allows for connections under way.
        let mut beat = tokio::time::interval(Duration::from_millis(40));
        beat.tick().await;
        beat.tick().await;
        release.send(()).unwrap();
    };
    tokio::join!(drained, others);
    stream.await.unwrap();
    assert_eq!(*order.lock(), ["stream", "drained"]);
}
