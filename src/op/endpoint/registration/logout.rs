//! Where a client wants to be told of logouts (OpenID Connect Front-Channel Logout §2, Back-Channel Logout §2.2).

use super::metadata::{Checked, Sent, refuse};
use crate::base::uri::{self, Redirect};
use crate::op::record::client::Metadata;

pub(super) const MEMBERS: [&str; 4] = [
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
];

pub(super) fn logout(sent: &Sent<'_>, kept: &mut Metadata) -> Checked<()> {
    let [front, front_session, back, back_session] = MEMBERS;
    kept.frontchannel_logout_uri = match sent.text(front, 2048)? {
        Some(uri) if !is_framed(&uri) => return refuse(front, "must be an https URL without fragment"),
        // Front-Channel Logout §2: the scheme, host and port of a redirect URI.
        Some(uri) if !kept.redirect_uris.iter().any(|known| uri::origin(known) == uri::origin(&uri)) => {
            return refuse(front, "must have the scheme, host and port of one of the redirect_uris");
        }
        other => other,
    };
    kept.backchannel_logout_uri = match sent.text(back, 2048)? {
        // Back-Channel Logout §2.2; whether its address may be reached is the fetch guard's business.
        Some(uri) if !uri::is_https_url(&uri) => {
            return refuse(back, "must be an https URL without fragment");
        }
        other => other,
    };
    kept.frontchannel_logout_session_required = sent.flag(front_session)?;
    kept.backchannel_logout_session_required = sent.flag(back_session)?;
    Ok(())
}

/// Browsers put nothing else into a frame of an https page.
fn is_framed(uri: &str) -> bool {
    matches!(uri::redirect(uri), Some(Redirect::Https | Redirect::Loopback))
}

#[cfg(test)]
mod tests {
    use crate::op::fixture::{body, op, post_json};
    use serde_json::{Value, json};

    async fn register(more: Value) -> (u16, Value) {
        let mut all = json!({"redirect_uris": ["https://rp.example/cb", "http://localhost:7000/cb"]});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let response = post_json(&op().await, "POST", "/oidcop/registration", &[], &all).await;
        (response.status().as_u16(), body(&response))
    }

    #[tokio::test]
    async fn logout_addresses_are_kept_and_echoed() {
        for members in [
            json!({
                "frontchannel_logout_uri": "https://rp.example/front?x=1",
                "frontchannel_logout_session_required": true,
                "backchannel_logout_uri": "https://logout.rp.example:8443/back?x=1",
                "backchannel_logout_session_required": true,
            }),
            json!({"frontchannel_logout_uri": "https://RP.example:443/front"}),
            json!({"frontchannel_logout_uri": "http://localhost:7000/front"}),
            json!({}),
        ] {
            let (status, made) = register(members.clone()).await;
            assert_eq!(status, 201, "{made}");
            for (name, value) in members.as_object().unwrap() {
                assert_eq!(&made[name], value);
            }
            assert_eq!(made.get("backchannel_logout_uri"), members.get("backchannel_logout_uri"));
        }
    }

    #[tokio::test]
    async fn a_logout_address_that_could_not_be_used_or_is_somebody_elses_is_refused() {
        for (member, value) in [
            ("frontchannel_logout_uri", json!("https://rp.example/front#x")),
            ("frontchannel_logout_uri", json!("https://rp.example:8443/front")),
            ("frontchannel_logout_uri", json!("https://www.rp.example/front")),
            ("frontchannel_logout_uri", json!("http://rp.example/front")),
            ("frontchannel_logout_uri", json!("http://localhost:7001/front")),
            ("frontchannel_logout_uri", json!("javascript:alert(1)")),
            ("frontchannel_logout_uri", json!("/front")),
            ("frontchannel_logout_uri", json!(7)),
            ("frontchannel_logout_session_required", json!("yes")),
            ("backchannel_logout_uri", json!("http://rp.example/back")),
            ("backchannel_logout_uri", json!("http://localhost:7000/back")),
            ("backchannel_logout_uri", json!("https://rp.example/back#x")),
            ("backchannel_logout_uri", json!("https://user@rp.example/back")),
            ("backchannel_logout_uri", json!("file:///etc/passwd")),
            ("backchannel_logout_uri", json!(["https://rp.example/back"])),
            ("backchannel_logout_session_required", json!(1)),
        ] {
            let (status, refused) = register(json!({member: value})).await;
            assert_eq!(
                (status, &refused["error"]),
                (400, &json!("invalid_client_metadata")),
                "{value}: {refused}"
            );
            assert!(refused["error_description"].as_str().unwrap().starts_with(member), "{refused}");
        }
    }
}
