//! The addresses to listen on, known before anybody listens: port 0 is given a number, and an address that is taken is
//! said at once (pingora would try for half a minute).

use super::Fault;
use std::net::{SocketAddr, TcpListener};

/// Port 0 → a free port. Every other address is tried and given back.
///
/// # Errors
/// An address cannot be listened on.
pub fn settle(addresses: &mut [SocketAddr]) -> Result<(), Fault> {
    // Held together, so that two of them do not get the same port.
    let mut held = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(*address).map_err(|error| Fault::io(*address, error))?;
        *address = listener.local_addr().map_err(|error| Fault::io(*address, error))?;
        held.push(listener);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_becomes_a_port_and_a_taken_address_is_said() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut addresses = [loopback, loopback];
        settle(&mut addresses).unwrap();
        assert!(addresses.iter().all(|address| address.port() != 0) && addresses[0] != addresses[1]);
        let taken = TcpListener::bind(loopback).unwrap();
        let mut addresses = [taken.local_addr().unwrap()];
        let said = settle(&mut addresses).unwrap_err().to_string();
        assert!(said.starts_with(&addresses[0].to_string()), "{said}");
    }
}
