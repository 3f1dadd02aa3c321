//! A bell: whoever waits for it is told that there is something to do. It carries no message.

use std::sync::Arc;
use tokio::sync::Notify;

/// Clones are the same bell.
#[derive(Clone, Default, Debug)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes one who waits; if nobody does, the next one does not have to. More rings meanwhile are one.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Until it is rung. Needs no runtime.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{poll, task::Poll};

    #[tokio::test]
    async fn a_ring_wakes_one_and_is_not_lost_while_nobody_waits() {
        let bell = Bell::default();
        let (first, second) = (bell.rung(), bell.rung());
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        assert!(poll!(first.as_mut()).is_pending() && poll!(second.as_mut()).is_pending());
        bell.clone().ring();
        assert_eq!(poll!(first.as_mut()), Poll::Ready(()));
        assert!(poll!(second.as_mut()).is_pending());
        drop(second);
        bell.ring();
        bell.ring();
        assert_eq!(poll!(Box::pin(bell.rung())), Poll::Ready(()));
        assert!(poll!(Box::pin(bell.rung())).is_pending());
    }
}
