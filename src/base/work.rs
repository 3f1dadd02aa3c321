//! Work that would block a worker: a bounded pool of threads, and the two things a future needs from a clock
//! (`within`, `sleep`). Tests script it. It decides nothing about what is worth doing.

use crate::base::clock::Clock;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// How much may wait for a thread before [`Work::run`] refuses.
const WAITING: usize = 256;

/// What the pool's threads are nicer by: hashing a password must not slow down a request that only looks one up.
const NICER: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of named threads at a lower priority, or none at all in tests. Clones share the pool; the threads end
/// when the last clone is dropped.
#[derive(Clone)]
pub struct Work(Kind);

#[derive(Clone)]
enum Kind {
    System(Arc<Pool>),
    Scripted(Clock),
}

/// Too much is waiting already, or the work broke down (it panicked). Nothing came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too much work is waiting")]
pub struct Overloaded;

/// The time given was over before the future was ready; the future has been dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the time given was over")]
pub struct Elapsed;

struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Work {
    /// A pool of `threads` (at least one) threads, each named `work-N`. Fails if the machine gives no thread.
    pub fn system(threads: usize) -> std::io::Result<Work> {
        let queue = Queue { jobs: VecDeque::with_capacity(WAITING), closed: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), arrived: Condvar::new() });
        // Made first, so that an early return closes the threads that were started.
        let pool = Arc::new(Pool { shared: shared.clone() });
        for n in 0..threads.max(1) {
            let shared = shared.clone();
            std::thread::Builder::new().name(format!("work-{n}")).spawn(move || {
                // Linux: the priority of the calling thread. Refused is harmless: only fairness is lost.
                let _ = rustix::process::setpriority_process(None, NICER);
                shared.serve();
            })?;
        }
        Ok(Work(Kind::System(pool)))
    }

    /// Runs everything inline and at once; time is what `clock` says.
    pub fn scripted(clock: Clock) -> Work {
        Work(Kind::Scripted(clock))
    }

    /// The machine's cores but one, at least one: the number of threads [`Work::system`] is usually given.
    pub fn spare_cores() -> usize {
        std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
    }

    /// Runs `f` on a thread of the pool. Work whose caller went away before its turn is skipped. Needs no runtime.
    pub async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let pool = match &self.0 {
            Kind::System(pool) => pool,
            Kind::Scripted(_) => return Ok(f()),
        };
        let (answer, answered) = oneshot::channel();
        pool.shared.push(Box::new(move || {
            if !answer.is_closed() {
                let _ = answer.send(f());
            }
        }))?;
        answered.await.map_err(|_| Overloaded)
    }

    /// `future`, if it is ready within `duration`. Scripted: the clock is looked at whenever the future is polled.
    pub async fn within<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        match &self.0 {
            Kind::System(_) => tokio::time::timeout(duration, future).await.map_err(|_| Elapsed),
            Kind::Scripted(clock) => {
                let end = clock.now().plus(duration);
                let mut future = std::pin::pin!(future);
                std::future::poll_fn(|context| match future.as_mut().poll(context) {
                    Poll::Ready(output) => Poll::Ready(Ok(output)),
                    Poll::Pending if clock.now() >= end => Poll::Ready(Err(Elapsed)),
                    Poll::Pending => Poll::Pending,
                })
                .await
            }
        }
    }

    /// Scripted: moves the clock on by `duration` and is over at once.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System(_) => tokio::time::sleep(duration).await,
            Kind::Scripted(clock) => clock.advance(duration),
        }
    }
}

impl Shared {
    fn push(&self, job: Job) -> Result<(), Overloaded> {
        let mut queue = self.queue.lock();
        if queue.closed || queue.jobs.len() >= WAITING {
            return Err(Overloaded);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            // A job that panics loses its answer, not the thread: its caller reads `Overloaded`.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            self.arrived.wait(&mut queue);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use std::sync::mpsc;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn work_runs_on_a_named_thread_of_the_pool() {
        let work = Work::system(1).unwrap();
        let name = block_on(work.run(|| std::thread::current().name().map(str::to_owned))).unwrap();
        assert_eq!(name.as_deref(), Some("work-0"));
    }

    #[test]
    fn a_full_queue_refuses_and_recovers() {
        let work = Work::system(1).unwrap();
        block_on(async {
            let (started, has_started) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            type Waiting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), Overloaded>> + 'a>>;
            let first: Waiting<'_> = Box::pin(work.run(move || {
                started.send(()).unwrap();
                gate.recv().unwrap();
            }));
            let mut waiting = vec![first];
            assert!(futures_util::poll!(waiting[0].as_mut()).is_pending());
            has_started.recv().unwrap();
            for _ in 0..WAITING {
                waiting.push(Box::pin(work.run(|| ())));
                assert!(futures_util::poll!(waiting.last_mut().unwrap().as_mut()).is_pending());
            }
            assert_eq!(work.run(|| ()).await, Err(Overloaded));
            go.send(()).unwrap();
            for future in waiting {
                assert_eq!(future.await, Ok(()));
            }
            assert_eq!(work.run(|| 7).await, Ok(7));
        });
    }

    #[test]
    fn work_that_panics_is_refused_and_its_thread_goes_on() {
        let work = Work::system(1).unwrap();
        block_on(async {
            assert_eq!(work.run(|| -> u8 { std::panic::resume_unwind(Box::new(())) }).await, Err(Overloaded));
            assert_eq!(work.run(|| 1).await, Ok(1));
        });
    }

    #[test]
    fn what_nobody_waits_for_is_not_done() {
        let work = Work::system(1).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let (done, was_done) = mpsc::channel::<&str>();
        block_on(async {
            let blocker = work.run(move || gate.recv().unwrap());
            let mut blocker = std::pin::pin!(blocker);
            assert!(futures_util::poll!(blocker.as_mut()).is_pending());
            let abandoned = done.clone();
            let mut gone = Box::pin(work.run(move || abandoned.send("abandoned").unwrap()));
            assert!(futures_util::poll!(gone.as_mut()).is_pending());
            drop(gone);
            go.send(()).unwrap();
            work.run(move || done.send("wanted").unwrap()).await.unwrap();
        });
        assert_eq!(was_done.iter().collect::<Vec<_>>(), ["wanted"]);
    }

    #[test]
    fn scripted_time_passes_by_the_clock_alone() {
        let clock = Clock::scripted(Timestamp(100));
        let work = Work::scripted(clock.clone());
        block_on(async {
            work.sleep(Duration::from_secs(5)).await;
            assert_eq!(clock.now(), Timestamp(105));
            assert_eq!(work.within(Duration::from_secs(1), async { 3 }).await, Ok(3));
            let late = work.within(
                Duration::from_secs(1),
                std::future::poll_fn(|_| {
                    clock.advance(Duration::from_secs(1));
                    Poll::<()>::Pending
                }),
            );
            assert_eq!(late.await, Err(Elapsed));
        });
    }
}
