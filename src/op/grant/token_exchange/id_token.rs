//! An ID token of ours as the subject token (RFC 8693 §3): it says who is signed in where, and grants no scope itself.

use super::{Subject, not_valid, session};
use crate::base::clock::Timestamp;
use crate::jose::{Algorithm, KeySource, Rules, Typ, verify};
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::family::{Authorization, Origin};
use serde_json::Value;

/// Whom the ID token is about, if it has not expired and its session lives: it must have one, or nothing could end
/// what is exchanged for it.
pub(super) async fn subject(op: &Op, token: &str, now: Timestamp) -> Result<Subject> {
    let refused = || not_valid("subject_token");
    let ring = op.ring();
    let rules = Rules {
        // An access token of ours is no ID token (RFC 9068 §2.1: at+jwt).
        typ: Typ::Optional(&["JWT"]),
        issuer: Some(&op.settings.issuer),
        required: &["sub", "aud", "iat", "sid"],
        // A key of the ring is for one algorithm only. MACs are none of ours: their client could make one for anybody.
        ..Rules::new(&Algorithm::ALL, now)
    };
    let claims =
        verify(token, &KeySource::Ring(&ring), &rules).map_err(|fault| refused().because(fault))?.claims;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // One audience: the client it was issued to.
    let (Some(sub), Some(client_id), Some(sid)) = (text("sub"), text("aud"), text("sid")) else {
        return Err(refused());
    };
    let expires = claims.get("exp").and_then(Value::as_u64).map(Timestamp).ok_or_else(refused)?;
    let (client, session) = (op.client(client_id, now).await?, session(op, sid, now).await?);
    let (Some(client), Some(session)) = (client, session) else { return Err(refused()) };
    if op.subject(&client, &session.account) != sub {
        return Err(refused());
    }
    let origin = Origin { family: None, client_id: client_id.to_owned(), created: session.auth_time };
    Ok(Subject {
        authorization: Authorization {
            account: session.account,
            sid: Some(session.sid),
            auth_time: session.auth_time,
            acr: session.acr,
            amr: session.amr,
            ..Authorization::default()
        },
        origins: vec![origin],
        scope: Vec::new(),
        audience: Vec::new(),
        expires,
    })
}
