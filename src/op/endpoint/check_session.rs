//! The session iframe (OpenID Connect Session Management §3.2): a relying party's page frames it and asks it, by
//! `postMessage`, whether the session it knows is still the one here. It asks nobody: the browser state is a cookie.
//! Where the browser keeps that cookie from frames of other sites, the answer is `error`.

use super::{Call, Cors, Endpoint, ErrorForm};
use crate::base::encode::base64;
use crate::base::secret::sha256;
use crate::op::Op;
use crate::op::error::Result;
use crate::op::serve::{self, set};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, header};
use serde_json::{Map, Value, json};

#[derive(Debug)]
pub struct CheckSession;

/// The whole of its element. The cookie is [`crate::op::cookie::STATE`], the hash that of `session_state.rs`. Without
/// the cookie the browser is asked whether frames here may see any: only then nobody is signed in.
const SCRIPT: &str = r#""use strict";
const name = "__Host-oidcop_state=";
const browserState = () =>
  document.cookie.split("; ").find((pair) => pair.startsWith(name))?.slice(name.length);
const sha256 = async (text) => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
};
const answer = async (message, origin) => {
  if (typeof message !== "string" || message.length > 4096) return "error";
  const [, client, hash, salt] = /^(.+) ([0-9a-f]{64})\.([\w-]{1,64})$/.exec(message) ?? [];
  if (!client) return "error";
  const state = browserState();
  if (!state) return (await document.hasStorageAccess()) ? "changed" : "error";
  return (await sha256(`${client} ${origin} ${state} ${salt}`)) === hash ? "unchanged" : "changed";
};
addEventListener("message", async ({ data, origin, source }) => {
  if (!source || origin === "null") return;
  source.postMessage(await answer(data, origin).catch(() => "error"), origin);
});"#;

#[async_trait]
impl Endpoint for CheckSession {
    fn name(&self) -> &'static str {
        "check_session"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Session Management §3.2"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Page
    }
    fn cors(&self) -> Cors {
        Cors::Never
    }
    /// OpenID Connect Session Management §3.3.
    fn describe(&self, op: &Op, metadata: &mut Map<String, Value>) {
        metadata.insert("check_session_iframe".into(), json!(serve::address(op, self)));
    }

    async fn answer(&self, _: &Op, _: Call<'_>) -> Result<Response<Bytes>> {
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Session</title><script>{SCRIPT}</script></html>\n"
        );
        let hash = base64(&sha256(SCRIPT.as_bytes()));
        // No frame-ancestors: any relying party frames it, and it shows nothing that could be clicked.
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; sandbox allow-scripts allow-same-origin"
        );
        let mut response = Response::new(Bytes::from(html));
        set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        set(&mut response, header::CONTENT_SECURITY_POLICY, &policy);
        // The same for everybody.
        set(&mut response, header::CACHE_CONTROL, "public, max-age=300");
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::cookie::STATE;
    use crate::op::fixture::{body, header, send};
    use crate::op::walk::{ALICE, APP, CLIENT, Walk, client, request};

    /// What the iframe answers in this browser to a page at `origin`: the script's rule, in Rust.
    fn iframe(walk: &Walk, client_id: &str, session_state: &str, origin: &str) -> &'static str {
        let Some(state) = walk.cookies.get(STATE) else { return "error" };
        let Some((hash, salt)) = session_state.split_once('.') else { return "error" };
        let digest = sha256(format!("{client_id} {origin} {state} {salt}").as_bytes());
        if crate::base::encode::hex(&digest) == hash { "unchanged" } else { "changed" }
    }

    const AT: &str = "https://rp.example";

    /// OpenID Connect Session Management §3.2.
    #[tokio::test]
    async fn the_session_state_is_unchanged_until_the_person_signs_out_or_another_signs_in() {
        let mut walk = Walk::new().await;
        let answer = walk.through(&request(&[]), ALICE).await;
        let first = answer.get("session_state").to_owned();
        assert_eq!(iframe(&walk, CLIENT, &first, AT), "unchanged");
        assert_eq!(iframe(&walk, APP, &first, AT), "changed", "another client's");
        assert_eq!(iframe(&walk, CLIENT, &first, "https://evil.example"), "changed", "another origin's");
        let again = walk.open(&request(&[("prompt", "none")])).await.answer();
        assert_ne!(again.get("session_state"), first, "salted");
        assert_eq!(iframe(&walk, CLIENT, again.get("session_state"), AT), "unchanged");
        // The same person again is the same session; signed out, it is none; afterwards it is another one.
        walk.through(&request(&[("prompt", "login")]), ALICE).await;
        assert_eq!(iframe(&walk, CLIENT, &first, AT), "unchanged");
        let page = walk.open("/oidcop/session").await;
        walk.submit(&page, &[("action", "sign-out")]).await;
        assert_eq!(iframe(&walk, CLIENT, &first, AT), "changed");
        let second = walk.through(&request(&[]), ALICE).await;
        assert_eq!(iframe(&walk, CLIENT, &first, AT), "changed");
        assert_eq!(iframe(&walk, CLIENT, second.get("session_state"), AT), "unchanged");
    }

    #[tokio::test]
    async fn a_browser_whose_session_ended_elsewhere_or_lost_its_state_is_brought_up_to_date() {
        let mut walk = Walk::new().await;
        let state = walk.through(&request(&[]), ALICE).await.get("session_state").to_owned();
        walk.cookies.remove(STATE);
        walk.open(&request(&[("prompt", "none")])).await;
        assert_eq!(iframe(&walk, CLIENT, &state, AT), "unchanged");
        let now = walk.op.now();
        crate::op::token::revoke::account(&walk.op, "alice", false).await.unwrap();
        assert!(now <= walk.op.now());
        assert_eq!(walk.open(&request(&[("prompt", "none")])).await.answer().error(), "login_required");
        assert_eq!(iframe(&walk, CLIENT, &state, AT), "changed");
        // Nobody was ever signed in there.
        let mut other = Walk::at(walk.op.clone());
        other.open(&request(&[("prompt", "none")])).await;
        assert!(other.cookies.is_empty());
    }

    #[tokio::test]
    async fn only_openid_answers_to_an_origin_carry_a_session_state() {
        let mut walk = Walk::new().await;
        let native =
            serde_json::json!({"redirect_uris": ["com.example.app:/cb"], "application_type": "native"});
        client(&walk.op, "native", native).await;
        assert!(walk.through(&request(&[]), ALICE).await.params.contains_key("session_state"));
        let plain = walk.through(&request(&[("scope", "api")]), ALICE).await;
        let native =
            request(&[("client_id", "native"), ("redirect_uri", "com.example.app:/cb"), ("scope", "openid")]);
        let native = walk.through(&native, ALICE).await;
        for answer in [plain, native] {
            assert!(answer.has_code() && !answer.params.contains_key("session_state"), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn the_iframe_may_be_framed_and_runs_its_own_script_only() {
        let walk = Walk::new().await;
        let page = send(&walk.op, "GET", "/oidcop/check_session", &[]).await;
        let html = String::from_utf8(page.body().to_vec()).unwrap();
        let script = html.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        assert!(script.contains(&format!("\"{STATE}=\"")));
        let policy = header(&page, "content-security-policy");
        assert!(policy.contains(&format!("script-src 'sha256-{}'", base64(&sha256(script.as_bytes())))));
        assert!(!policy.contains("frame-ancestors") && header(&page, "x-frame-options").is_empty());
        let document = body(&send(&walk.op, "GET", "/.well-known/openid-configuration", &[]).await);
        assert_eq!(document["check_session_iframe"], "https://op.example/oidcop/check_session");
        assert_eq!(send(&walk.op, "POST", "/oidcop/check_session", &[]).await.status(), 405);
    }
}
