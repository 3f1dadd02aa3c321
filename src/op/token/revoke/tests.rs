//! Tests of what the end of a session takes along (Back-Channel Logout §2.7).

use super::session;
use crate::op::Op;
use crate::op::fixture::{body, op_with};
use crate::op::token::fixture::{
    active, advance, claims, client, code, error, redeem, refresh, restarted, text, tokens, unruly_op,
};
use http::StatusCode;

async fn sign_in(op: &Op) -> String {
    crate::op::token::fixture::session(op, "diana").await
}

#[tokio::test]
async fn a_logout_may_end_offline_families_too_and_for_good() {
    for (extra, lives_on) in
        [("{ logout: { offline: keep } }", true), ("{ logout: { offline: revoke } }", false)]
    {
        let op = op_with(extra).await;
        client(&op, "rp", |_| {}).await;
        let (sid, other) = (sign_in(&op).await, sign_in(&op).await);
        let offline = tokens(&op, "rp", &sid, "openid api offline_access").await;
        let online = tokens(&op, "rp", &sid, "openid api").await;
        let elsewhere = tokens(&op, "rp", &other, "openid api offline_access").await;
        assert!(session(&op, &sid, op.now()).await.unwrap().is_some());
        for token in [&offline, &online] {
            let access = text(token, "access_token");
            assert!(!active(&op, access).await && !active(&restarted(&op).await, access).await, "{extra}");
        }
        assert!(active(&op, text(&elsewhere, "access_token")).await);
        assert_eq!(error(&refresh(&op, "rp", text(&online, "refresh_token")).await), "invalid_grant");
        let next = refresh(&op, "rp", text(&offline, "refresh_token")).await;
        assert_eq!(next.status() == StatusCode::OK, lives_on, "{extra}");
        // Also when nobody knows of the session any more.
        advance(&op, 13 * 3_600);
        op.tend(op.now(), 1_000).await.unwrap();
        let token = if lives_on { body(&next) } else { offline };
        let next = refresh(&op, "rp", text(&token, "refresh_token")).await;
        assert_eq!(next.status() == StatusCode::OK, lives_on, "{extra}");
        assert_eq!(refresh(&op, "rp", text(&elsewhere, "refresh_token")).await.status(), StatusCode::OK);
    }
}

/// A session that runs out was not signed out of.
#[tokio::test]
async fn an_expired_session_is_no_logout() {
    let op = op_with("{ logout: { offline: revoke } }").await;
    client(&op, "rp", |_| {}).await;
    let sid = sign_in(&op).await;
    let offline = tokens(&op, "rp", &sid, "openid api offline_access").await;
    advance(&op, 13 * 3_600);
    let next = refresh(&op, "rp", text(&offline, "refresh_token")).await;
    assert_eq!(next.status(), StatusCode::OK);
    assert!(!claims(&op, text(&body(&next), "access_token")).contains_key("sid"));
}

/// However redemptions and a logout interleave: what was given out is dead, or was never given out.
#[tokio::test]
async fn nothing_of_a_session_is_active_after_its_end_was_answered() {
    for seed in 0..30 {
        let (op, _store) = unruly_op(seed).await;
        client(&op, "rp", |_| {}).await;
        let sid = sign_in(&op).await;
        let first = tokens(&op, "rp", &sid, "openid api offline_access").await;
        let code = code(&op, "rp", &sid, "openid api offline_access").await;
        let (ended, redeemed, refreshed) = futures_util::join!(
            session(&op, &sid, op.now()),
            redeem(&op, "rp", &code),
            refresh(&op, "rp", text(&first, "refresh_token")),
        );
        assert!(ended.unwrap().is_some());
        for answer in [first, body(&redeemed), body(&refreshed)] {
            let Some(access) = answer["access_token"].as_str() else { continue };
            // Only what the refresh minted after the end may live: it is no part of the session.
            let lives = active(&op, access).await;
            assert!(!lives || !claims(&op, access).contains_key("sid"), "seed {seed}");
        }
    }
}
