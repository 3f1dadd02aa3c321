//! What others say about a person (OpenID Connect Core §5.6): their JWT, passed on as it is (§5.6.2.1), or where to ask
//! them (§5.6.2.2). Whose word it is, is the client's to judge; what cannot be had is left out.

use crate::base::encode::from_base64url;
use crate::jose::{json, jwe};
use crate::op::Op;
use crate::op::directory::Person;
use crate::op::settings::{Aggregated, ClaimSource, Distributed};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The largest JWT that is passed on, in bytes.
const MAX: usize = 16 << 10;
/// Userinfo waits no longer for another party.
const PATIENCE: Duration = Duration::from_secs(3);

impl Op {
    /// The members `_claim_names` and `_claim_sources` for those of `wanted` that others make and `person` has not.
    pub(super) async fn referred(&self, person: &Person, wanted: &BTreeSet<&str>) -> Map<String, Value> {
        let needed =
            |source: &&ClaimSource| source.claims.iter().any(|claim| wanted.contains(claim.as_str()));
        let sources = self.settings.claim_sources.iter().filter(needed);
        let asked = sources.map(async |source| (source, self.member_of(source, person).await));
        let answers = futures_util::future::join_all(asked).await;
        let (mut names, mut sources) = (Map::new(), Map::new());
        for (source, answer) in answers {
            let Some((member, made)) = answer else { continue };
            let before = names.len();
            for claim in source.claims.iter().filter(|claim| wanted.contains(claim.as_str())) {
                if made.as_ref().is_none_or(|made| made.contains_key(claim)) {
                    names.insert(claim.clone(), json!(source.name));
                }
            }
            if names.len() > before {
                sources.insert(source.name.clone(), member);
            }
        }
        let mut members = Map::new();
        if !names.is_empty() {
            members.insert("_claim_names".into(), Value::Object(names));
            members.insert("_claim_sources".into(), Value::Object(sources));
        }
        members
    }

    /// Its member of `_claim_sources`, and the claims that are in it if that can be seen.
    async fn member_of(
        &self,
        source: &ClaimSource,
        person: &Person,
    ) -> Option<(Value, Option<Map<String, Value>>)> {
        if let Some(Distributed { endpoint, access_token }) = &source.distributed {
            let mut member = json!({ "endpoint": endpoint });
            if let Some(name) = access_token {
                let token = person.claims.get(name).and_then(Value::as_str)?;
                member.as_object_mut()?.insert("access_token".into(), json!(token));
            }
            return Some((member, None));
        }
        let token = match source.aggregated.as_ref()? {
            Aggregated { url: Some(url), .. } => self.fetched(source, url, person).await?,
            Aggregated { record, .. } => person.claims.get(record.as_deref()?)?.as_str()?.to_owned(),
        };
        match form(&token) {
            Some(made) => Some((json!({ "JWT": token }), made)),
            None => {
                tracing::warn!(source = source.name, "a source of claims gave something that is no JWT");
                None
            }
        }
    }

    async fn fetched(&self, source: &ClaimSource, url: &str, person: &Person) -> Option<String> {
        let who: String = form_urlencoded::byte_serialize(person.account.as_bytes()).collect();
        // A space is `+` in a query only.
        let url = url.replace("{account}", &who.replace('+', "%20"));
        let kit = &self.shared.kit;
        let answer = kit.work.within(PATIENCE, kit.fetch.get(&url, "application/jwt", MAX)).await;
        match answer {
            Ok(Ok(fetched)) if fetched.status == StatusCode::OK => {
                Some(std::str::from_utf8(&fetched.body).ok()?.trim().to_owned())
            }
            Ok(Ok(fetched)) => {
                tracing::warn!(
                    source = source.name,
                    status = fetched.status.as_u16(),
                    "a source of claims refused"
                );
                None
            }
            Ok(Err(fault)) => {
                tracing::warn!(source = source.name, %fault, "a source of claims cannot be asked");
                None
            }
            Err(_) => {
                tracing::warn!(source = source.name, "a source of claims did not answer in time");
                None
            }
        }
    }
}

/// `None`: it is no JWT. Otherwise its claims, unverified, if it is not encrypted.
fn form(token: &str) -> Option<Option<Map<String, Value>>> {
    let plain = |part: &str| from_base64url(part).and_then(|bytes| json::object(&bytes).ok());
    if token.len() > MAX || !token.split('.').all(|part| from_base64url(part).is_some()) {
        return None;
    }
    let mut parts = token.split('.');
    plain(parts.next()?)?;
    if jwe::is_encrypted(token) {
        return Some(None);
    }
    let claims = plain(parts.next()?)?;
    (parts.count() == 1).then_some(Some(claims))
}
