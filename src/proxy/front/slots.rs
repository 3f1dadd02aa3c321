//! Connection slots: how many there are, in all and for one address. Nobody waits for a slot: a connection without
//! one is closed before it costs a handshake.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Slots(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    // Bounded by `all`: an entry goes with the last connection of its block.
    blocks: HashMap<IpAddr, usize, ahash::RandomState>,
}

impl Slots {
    /// A slot for a connection whose client is not known yet; `None` if `limit` are taken.
    pub(super) fn take(self: &Arc<Self>, limit: usize) -> Option<Slot> {
        let mut taken = self.0.lock();
        if taken.all >= limit {
            return None;
        }
        taken.all += 1;
        Some(Slot { slots: self.clone(), block: None })
    }
}

/// One taken slot, given back when it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    block: Option<IpAddr>,
}

impl Slot {
    /// Says whose connection it is; false if that address has `limit` of them already.
    #[must_use]
    pub(super) fn belongs_to(&mut self, address: IpAddr, limit: usize) -> bool {
        let block = block(address);
        let mut taken = self.slots.0.lock();
        let count = taken.blocks.entry(block).or_default();
        if *count >= limit {
            return false;
        }
        *count += 1;
        drop(taken);
        self.release(self.block);
        self.block = Some(block);
        true
    }

    fn release(&self, block: Option<IpAddr>) {
        let Some(block) = block else { return };
        let mut taken = self.slots.0.lock();
        if let Some(count) = taken.blocks.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                taken.blocks.remove(&block);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release(self.block);
        self.slots.0.lock().all -= 1;
    }
}

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one customer usually owns.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_in_all_and_for_each_address() {
        let slots = Arc::new(Slots::default());
        let (near, far) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut first = slots.take(3).unwrap();
        let mut second = slots.take(3).unwrap();
        let mut third = slots.take(3).unwrap();
        assert!(slots.take(3).is_none());
        assert!(first.belongs_to(near, 1));
        assert!(!second.belongs_to(near, 1));
        assert!(third.belongs_to(far, 1));
        drop(first);
        assert!(second.belongs_to(near, 1));
        assert!(slots.take(3).is_some());
        drop((second, third));
        let taken = slots.0.lock();
        assert_eq!((taken.all, taken.blocks.len()), (0, 0));
    }

    #[test]
    fn a_client_cannot_multiply_itself_in_its_ipv6_network() {
        let slots = Arc::new(Slots::default());
        let mut first = slots.take(9).unwrap();
        let mut second = slots.take(9).unwrap();
        assert!(first.belongs_to("2001:db8::1".parse().unwrap(), 1));
        assert!(!second.belongs_to("2001:db8::2".parse().unwrap(), 1));
        assert!(second.belongs_to("2001:db8:0:1::2".parse().unwrap(), 1));
        // A mapped address is the IPv4 client it stands for.
        let (mut third, mut fourth) = (slots.take(9).unwrap(), slots.take(9).unwrap());
        assert!(third.belongs_to("::ffff:192.0.2.1".parse().unwrap(), 1));
        assert!(!fourth.belongs_to("192.0.2.1".parse().unwrap(), 1));
    }
}
