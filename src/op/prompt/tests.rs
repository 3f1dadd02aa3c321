//! Tests of the way from an authorization request to its answer.

use crate::op::walk::{ALICE, BOB, Walk, request};

#[tokio::test]
async fn a_person_signs_in_and_allows_and_the_client_gets_a_code() {
    let mut walk = Walk::new().await;
    let login = walk.open(&request(&[])).await;
    let consent = walk.sign_in(&login, ALICE).await;
    let answer = walk.allow(&consent).await.answer();
    assert!(answer.has_code(), "{answer:?}");
    assert_eq!(answer.address, "https://rp.example/cb");
    assert_eq!((answer.get("kept"), answer.get("state")), ("1", "a b&c=\"<'>"));
    assert_eq!(answer.get("iss"), "https://op.example");
    let _ = BOB;
}
