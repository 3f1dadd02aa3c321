//! Before HTTP: slots, deadlines, PROXY headers, handshakes.

use super::h1::{ask, ended};
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The end of a TCP connection, orderly or not; whatever came before it is thrown away.
async fn closed(tcp: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn who_does_not_shake_hands_in_time_is_cut() {
    let mut settings = patient();
    settings.limits.handshake = SOON;
    let house = House::open(settings).await;
    let (mut silent, mut half) = (house.connect().await, house.connect().await);
    // A record header that promises 512 bytes.
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    closed(&mut silent).await;
    closed(&mut half).await;
    house.counted(|tally| &tally.handshake_late, 2).await;
    house.door.connections().emptied().await;
    assert_eq!(house.app.served.load(SeqCst), 0);
}

#[tokio::test]
async fn what_is_no_tls_ends_at_once() {
    let house = House::open(patient()).await;
    let mut plain = house.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
    closed(&mut plain).await;
    house.counted(|tally| &tally.handshake_failed, 1).await;
    // RFC 7301 §3.2: no protocol in common.
    let fault = house.handshake(house.connect().await, "smtp").await.unwrap_err().to_string();
    assert!(fault.contains("NoApplicationProtocol"), "{fault}");
    house.counted(|tally| &tally.handshake_failed, 2).await;
}

#[tokio::test]
async fn one_address_gets_its_share_and_no_more() {
    let mut settings = patient();
    settings.limits.per_address = at_most(1);
    let house = House::open(settings).await;
    let mut first = house.tls("http/1.1").await;
    assert!(ask(&mut first, "/").await.starts_with("HTTP/1.1 200"));
    closed(&mut house.connect().await).await;
    assert_eq!(house.door.tally().crowded.read(), 1);
    assert!(ask(&mut first, "/").await.starts_with("HTTP/1.1 200"));
    drop(first);
    house.door.connections().emptied().await;
    assert!(ask(&mut house.tls("http/1.1").await, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_full_house_closes_the_next_connection_at_once() {
    let mut settings = patient();
    settings.limits.connections = at_most(1);
    let house = House::open(settings.clone()).await;
    let mut first = house.tls("http/1.1").await;
    closed(&mut house.connect().await).await;
    assert_eq!((house.door.tally().full.read(), house.door.connections().count()), (1, 1));
    assert!(ask(&mut first, "/").await.starts_with("HTTP/1.1 200"));
    // A reload may let more in.
    settings.tls = house.settings.tls.clone();
    settings.limits.connections = at_most(2);
    house.door.reload(&settings, NOW).unwrap();
    assert!(ask(&mut house.tls("http/1.1").await, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_trusted_peer_speaks_for_its_client() {
    let mut settings = patient();
    settings.proxy_protocol.trusted = vec![settings::Network("127.0.0.0/8".parse().unwrap())];
    let house = House::open(settings).await;
    let mut tcp = house.connect().await;
    let balancer = tcp.local_addr().unwrap();
    tcp.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n").await.unwrap();
    let mut tls = house.handshake(tcp, "http/1.1").await.unwrap();
    assert!(ask(&mut tls, "/").await.ends_with("\r\n\r\n192.0.2.7:4711 a.example"));
    assert!(ask(&mut tls, "/via").await.ends_with(&format!("Some({balancer})")));
    // It must not be guessed whether a header is there.
    assert!(house.handshake(house.connect().await, "http/1.1").await.is_err());
    assert_eq!(house.door.tally().unspoken.read(), 1);
}

#[tokio::test]
async fn nobody_else_can_claim_an_address() {
    let house = House::open(patient()).await;
    let mut tcp = house.connect().await;
    tcp.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n").await.unwrap();
    assert!(house.handshake(tcp, "http/1.1").await.is_err());
    house.counted(|tally| &tally.handshake_failed, 1).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_the_next_client() {
    let house = House::open(patient()).await;
    let mut old = house.tls("http/1.1").await;
    let shown =
        |tls: &TlsStream<TcpStream>| tls.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    renew(&house.settings);
    house.door.reload(&house.settings, NOW).unwrap();
    let new = house.tls("http/1.1").await;
    assert_ne!(shown(&old), shown(&new));
    assert!(ask(&mut old, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn ending_all_connections_waits_for_their_last_words() {
    let house = House::open(patient()).await;
    let mut tls = house.tls("http/1.1").await;
    assert!(ask(&mut tls, "/live/x").await.ends_with('.'));
    let _half_open = house.connect().await;
    house.counted(|tally| &tally.accepted, 2).await;
    assert_eq!(house.door.connections().end_all().await, 2);
    assert_eq!((house.app.cut.load(SeqCst), house.door.connections().count()), (1, 0));
    assert!(!ended(&mut tls).await);
}

#[tokio::test]
async fn a_lowest_version_of_1_3_refuses_1_2() {
    for (min, welcome) in [(settings::Version::V12, true), (settings::Version::V13, false)] {
        let mut settings = patient();
        settings.tls.min = min;
        let house = House::open(settings).await;
        let old = house.client("http/1.1", &[&rustls::version::TLS12]);
        let tls = old.connect(HOST.try_into().unwrap(), house.connect().await).await;
        assert_eq!(tls.is_ok(), welcome, "{min:?}");
        let told = tls.err().is_none_or(|fault| fault.to_string().contains("ProtocolVersion"));
        assert!(told, "{min:?}");
        assert!(ask(&mut house.tls("http/1.1").await, "/").await.starts_with("HTTP/1.1 200"));
    }
}

/// One plain request to the redirect listener, and all it says.
async fn plain(address: SocketAddr, request: &[u8]) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request).await.unwrap();
    let mut said = String::new();
    tcp.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn the_redirect_listener_says_one_thing_and_closes() {
    let mut limits = patient().limits;
    limits.head = SOON;
    let (address, sockets) = listening();
    let redirect = settings::Redirect { listen: vec![address], port: 443 };
    let mut service = RedirectApp::service(&redirect, &limits, Arc::new(|host| host == HOST));
    let (_shutdown, watch) = watch::channel(false);
    tokio::spawn(async move { service.start_service(Some(sockets), watch, 1).await });
    let said = plain(address, b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n\r\nleft over").await;
    assert!(
        said.starts_with("HTTP/1.1 301 ") && said.contains("\r\nLocation: https://a.example/x?y\r\n"),
        "{said}"
    );
    assert!(plain(address, b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await.starts_with("HTTP/1.1 421 "));
    assert!(plain(address, &[b'x'; 9000]).await.starts_with("HTTP/1.1 400 "));
    // No head in time: no answer.
    assert_eq!(plain(address, b"GET / HTTP/1.1\r\n").await, "");
}
