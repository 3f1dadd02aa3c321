//! HTTP/2 over the front door.

use super::*;
use ::h2::client::{SendRequest, handshake};
use ::h2::{Error, Reason, RecvStream};
use http::{Request, Response};

struct Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), Error>>,
}

impl Client {
    async fn of(house: &House) -> Client {
        let (requests, connection) = handshake(house.tls("h2").await).await.unwrap();
        Client { requests, connection: tokio::spawn(connection) }
    }

    async fn ask(&self, path: &str) -> Result<Response<RecvStream>, Error> {
        self.send(Request::get(format!("https://{HOST}{path}")).body(()).unwrap()).await
    }

    async fn send(&self, request: Request<()>) -> Result<Response<RecvStream>, Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (response, _) = requests.send_request(request, true)?;
        response.await
    }
}

async fn text(response: Response<RecvStream>) -> String {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(bytes) = body.data().await {
        text.extend_from_slice(&bytes.unwrap());
    }
    String::from_utf8(text).unwrap()
}

fn reason<T>(outcome: Result<T, Error>) -> Reason {
    outcome.err().unwrap().reason().unwrap()
}

#[tokio::test]
async fn streams_share_a_connection_and_its_facts() {
    let house = House::open(patient()).await;
    let tls = house.tls("h2").await;
    let expected = format!("{} {HOST}", tls.get_ref().0.local_addr().unwrap());
    let (requests, connection) = handshake(tls).await.unwrap();
    let client = Client { requests, connection: tokio::spawn(connection) };
    let (first, second) = tokio::join!(client.ask("/"), client.ask("/"));
    assert_eq!((text(first.unwrap()).await, text(second.unwrap()).await), (expected.clone(), expected));
    assert_eq!((house.door.connections().count(), house.door.tally().accepted.read()), (1, 1));
    drop(client.requests);
    client.connection.await.unwrap().unwrap();
    house.door.connections().emptied().await;
}

#[tokio::test]
async fn ending_a_life_resets_its_stream_and_no_other() {
    let house = House::open(patient()).await;
    let client = Client::of(&house).await;
    let mut revoked = client.ask("/live/x").await.unwrap().into_body();
    let mut other = client.ask("/live/y").await.unwrap().into_body();
    assert_eq!(revoked.data().await.unwrap().unwrap(), ".");
    assert_eq!(other.data().await.unwrap().unwrap(), ".");
    house.app.life("x").end().await;
    assert_eq!(house.app.cut.load(SeqCst), 1);
    assert_eq!(reason(revoked.data().await.unwrap()), Reason::CANCEL);
    assert_eq!(client.ask("/").await.unwrap().status(), 200);
    assert!(futures_util::poll!(std::pin::pin!(other.data())).is_pending());
    house.app.life("y").end().await;
    assert_eq!(reason(other.data().await.unwrap()), Reason::CANCEL);
    assert_eq!(client.ask("/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_panic_resets_its_stream_only_and_is_counted() {
    let house = House::open(patient()).await;
    let client = Client::of(&house).await;
    let outcome = client.ask("/panic").await;
    assert!(outcome.is_err_and(|error| error.is_reset()));
    assert_eq!(house.door.tally().panics.read(), 1);
    assert_eq!(client.ask("/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn who_sends_no_preface_in_time_is_cut() {
    let mut settings = patient();
    settings.limits.head = SOON;
    let house = House::open(settings).await;
    let mut tls = house.tls("h2").await;
    let mut rest = Vec::new();
    // The server's own settings may come; then the end.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tls, &mut rest).await;
    house.counted(|tally| &tally.preface_late, 1).await;
    house.door.connections().emptied().await;
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let mut settings = patient();
    settings.limits.idle = SOON;
    let house = House::open(settings).await;
    let client = Client::of(&house).await;
    assert_eq!(client.ask("/").await.unwrap().status(), 200);
    client.connection.await.unwrap().unwrap();
    house.door.connections().emptied().await;
}

#[tokio::test]
async fn an_open_stream_keeps_its_connection() {
    let mut settings = patient();
    settings.limits.idle = Span::millis(50);
    let house = House::open(settings).await;
    let client = Client::of(&house).await;
    let slow = tokio::spawn({
        let requests = client.requests.clone();
        async move {
            let mut requests = requests.ready().await.unwrap();
            let request = Request::get(format!("https://{HOST}/slow")).body(()).unwrap();
            requests.send_request(request, true).unwrap().0.await
        }
    });
    house.app.begun.acquire().await.unwrap().forget();
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(50));
    for _ in 0..5 {
        beat.tick().await;
    }
    house.app.slow.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn malformed_requests_have_a_budget() {
    let mut settings = patient();
    settings.limits.malformed_streams = at_most(3);
    let house = House::open(settings).await;
    let client = Client::of(&house).await;
    let malformed = || {
        // RFC 9113 §8.3.1: Host must not differ from :authority.
        Request::get(format!("https://{HOST}/")).header("host", "b.example").body(()).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(client.send(malformed()).await.unwrap().status(), 400);
    }
    assert_eq!(client.ask("/").await.unwrap().status(), 200);
    let _ = client.send(malformed()).await;
    assert_eq!(reason(client.connection.await.unwrap()), Reason::ENHANCE_YOUR_CALM);
    assert_eq!(house.door.tally().streams_refused.read(), 3);
    house.door.connections().emptied().await;
}

#[tokio::test]
async fn draining_answers_open_streams_and_takes_no_new_ones() {
    let mut house = House::open(patient()).await;
    let (busy, idle) = (Client::of(&house).await, Client::of(&house).await);
    assert_eq!(idle.ask("/").await.unwrap().status(), 200);
    let mut requests = busy.requests.clone().ready().await.unwrap();
    let request = Request::get(format!("https://{HOST}/slow")).body(()).unwrap();
    let (slow, _) = requests.send_request(request, true).unwrap();
    house.app.begun.acquire().await.unwrap().forget();
    house.stop().await;
    idle.connection.await.unwrap().unwrap();
    house.left(1).await;
    house.app.slow.add_permits(1);
    let expected = text(slow.await.unwrap()).await;
    assert!(expected.ends_with(HOST), "{expected}");
    busy.connection.await.unwrap().unwrap();
    assert!(busy.requests.ready().await.is_err());
    house.door.connections().drained().await;
}

#[tokio::test]
async fn streams_that_are_reset_at_once_do_not_pile_up_work() {
    let mut settings = patient();
    settings.limits.streams = at_most(1);
    settings.limits.malformed_streams = at_most(2);
    let house = House::open(settings).await;
    let client = Client::of(&house).await;
    let open = async || {
        let mut requests = client.requests.clone().ready().await?;
        let request = Request::get(format!("https://{HOST}/slow")).body(()).unwrap();
        requests.send_request(request, true)
    };
    // Twice the limit is put up with: the application has not noticed yet that the first are gone.
    for _ in 0..2 {
        let _reset = open().await.unwrap();
        house.app.begun.acquire().await.unwrap().forget();
    }
    for refused in 1..=2 {
        let opened = open().await.unwrap();
        house.counted(|tally| &tally.streams_refused, refused).await;
        drop(opened);
    }
    assert_eq!(reason(client.connection.await.unwrap()), Reason::ENHANCE_YOUR_CALM);
    assert_eq!(house.door.tally().exchanges.read(), 2);
    house.app.slow.add_permits(2);
    house.door.connections().emptied().await;
    assert_eq!(house.door.tally().panics.read(), 0);
}
