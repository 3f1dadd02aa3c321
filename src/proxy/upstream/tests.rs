//! Turns, rests, timeouts, group keys and names of upstreams.

use super::*;
use settings::Tls;

fn pool(addresses: &[&str]) -> Pool {
    let addresses = addresses.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(",");
    let written: Upstream = serde_json::from_str(&format!(r#"{{ "addresses": [{addresses}] }}"#)).unwrap();
    Pool::new("u", &written).unwrap()
}

fn now<F: Future>(future: F) -> F::Output {
    futures_util::FutureExt::now_or_never(future).unwrap()
}

fn picked(pool: &Pool) -> String {
    now(pool.pick(Ask::default())).unwrap().0._address.to_string()
}

#[test]
fn addresses_are_asked_in_turn_and_a_failed_one_rests() {
    let pool = pool(&["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]);
    let round: Vec<_> = (0..6).map(|_| picked(&pool)).collect();
    assert_eq!(round[..3], round[3..]);
    assert_eq!(round[..3], ["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]);
    pool.failed("127.0.0.1:2".parse().unwrap());
    assert!((0..6).all(|_| picked(&pool) != "127.0.0.1:2"));
    for socket in ["127.0.0.1:1", "[::1]:3"] {
        pool.failed(socket.parse().unwrap());
    }
    assert!(!picked(&pool).is_empty(), "when all rest, one is tried all the same");
}

#[test]
fn every_timeout_is_set_and_tls_is_always_verified() {
    let mut written = pool(&["127.0.0.1:1"]).written;
    written.tls = Some(Tls { server_name: "up.example".into(), ca_file: None });
    let pool = Pool::new("u", &written).unwrap();
    let (peer, _) = now(pool.pick(Ask::default())).unwrap();
    let options = &peer.options;
    assert!(options.verify_cert && options.verify_hostname && peer.sni == "up.example" && peer.is_tls());
    for timeout in [
        options.connection_timeout,
        options.total_connection_timeout,
        options.read_timeout,
        options.write_timeout,
        options.idle_timeout,
    ] {
        assert!(timeout.is_some_and(|timeout| !timeout.is_zero()));
    }
    let (upgrade, _) = now(pool.pick(Ask { upgrade: true, read_timeout: None })).unwrap();
    assert!(upgrade.options.custom_l4.is_some() && upgrade.options.idle_timeout == Some(Duration::ZERO));
    assert_ne!(upgrade.group_key, peer.group_key);
}

#[test]
fn connections_are_never_shared_between_different_settings() {
    let one = pool(&["127.0.0.1:1"]);
    let mut written = one.written.clone();
    written.timeouts.read = crate::base::scalar::Span::secs(1);
    let other = Pool::new("u", &written).unwrap();
    assert_ne!(one.group, other.group);
    assert_ne!(one.group, Pool::new("v", &one.written).unwrap().group);
    assert_eq!(one.group, Pool::new("u", &one.written).unwrap().group);
    assert!(one.is_still(&one.written) && !one.is_still(&written));
}

#[test]
fn what_is_no_address_is_a_fault() {
    for good in ["10.0.0.7:80", "[fd00::1]:80", "app.internal:8080", "a_b:1", "localhost:65535"] {
        assert!(parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "10.0.0.7",
        "app",
        "app:",
        "app:0",
        "app:65536",
        ":80",
        "http://app:80",
        "app:80/x",
        "a b:1",
        "1.2.3:80",
        "[::1]",
        "user@app:80",
        "app:+1",
    ] {
        assert!(parse(bad).is_none(), "{bad}");
    }
}

#[tokio::test]
async fn names_are_resolved_and_keep_what_they_had_when_they_no_longer_do() {
    let pool = pool(&["localhost:7"]);
    assert!(pool.addresses.load().is_empty());
    pool.resolve().await;
    let found = pool.addresses.load_full();
    assert!(!found.is_empty() && found.iter().all(|address| address.socket.ip().is_loopback()));
    pool.failed(found[0].socket);
    pool.resolve().await;
    let again = pool.addresses.load_full();
    let same = again.iter().find(|address| address.socket == found[0].socket).unwrap();
    assert!(same.rests_until.load(Ordering::Relaxed) > 0, "health survives");
}
