//! The metadata documents (OpenID Connect Discovery §4, RFC 8414 §3): derived from the tables, rendered once per
//! configuration.

use super::registration::metadata::{ASSERTION_ALGS, signing_algs};
use super::{Call, Cors, ENDPOINTS, Endpoint, ErrorForm};
use crate::jose::MacAlgorithm;
use crate::op::Op;
use crate::op::binding::{self, dpop};
use crate::op::client_auth;
use crate::op::error::Result;
use crate::op::grant::GRANTS;
use crate::op::response_mode::MODES;
use crate::op::response_type::{self, IMPLICIT};
use crate::op::serve::set;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Response, header};
use serde_json::{Map, Value, json};

pub struct Configuration;

#[async_trait]
impl Endpoint for Configuration {
    fn name(&self) -> &'static str {
        "configuration"
    }
    fn spec(&self) -> &'static str {
        "OpenID Connect Discovery §4, RFC 8414 §3"
    }
    fn methods(&self) -> &'static [Method] {
        &[Method::GET]
    }
    fn error_form(&self) -> ErrorForm {
        ErrorForm::Json
    }
    fn cors(&self) -> Cors {
        Cors::AnyOrigin
    }
    fn fixed_paths(&self, op: &Op) -> Vec<String> {
        let path = op.settings.issuer.get(op.origin().len()..).unwrap_or("");
        let mut paths = vec![format!("{path}/.well-known/openid-configuration")];
        // RFC 8414 §3: the well-known part goes between host and path.
        paths.push(format!("/.well-known/oauth-authorization-server{path}"));
        if !path.is_empty() {
            // RFC 8414 §5: and the OpenID form in the same place, for those who look there.
            paths.push(format!("/.well-known/openid-configuration{path}"));
        }
        paths
    }

    async fn answer(&self, op: &Op, _call: Call<'_>) -> Result<Response<Bytes>> {
        let body = op.metadata.get_or_init(|| Bytes::from(Value::Object(document(op)).to_string())).clone();
        let mut response = Response::new(body);
        set(&mut response, header::CONTENT_TYPE, "application/json");
        set(&mut response, header::CACHE_CONTROL, "public, max-age=300");
        Ok(response)
    }
}

/// Everything that is there, and nothing else.
pub(crate) fn document(op: &Op) -> Map<String, Value> {
    let mut doc = Map::new();
    doc.insert("issuer".into(), op.settings.issuer.clone().into());
    for endpoint in ENDPOINTS {
        endpoint.describe(op, &mut doc);
    }
    let mut add = |member: &str, value: Value| {
        doc.insert(member.into(), value);
    };
    let offered: Vec<_> = response_type::offered(&op.settings).collect();
    add("response_types_supported", offered.iter().map(|kind| kind.name).collect());
    add("response_modes_supported", MODES.iter().map(|mode| mode.name()).collect());
    let implicit = offered.iter().any(|kind| kind.is_front_channel()).then_some(IMPLICIT);
    let grants = GRANTS.iter().filter(|grant| grant.is_enabled(&op.settings)).map(|grant| grant.name());
    add("grant_types_supported", grants.chain(implicit).collect());
    let details = &op.settings.authorization_details.types;
    if !details.is_empty() {
        // RFC 9396 §10.
        add("authorization_details_types_supported", details.keys().map(String::as_str).collect());
    }
    add("subject_types_supported", json!(["public", "pairwise"]));
    let signing = signing_algs(&op.settings);
    add("id_token_signing_alg_values_supported", json!(signing));
    for (member, value) in crate::op::seal::described(&signing) {
        add(&member, value);
    }
    add("scopes_supported", json!(op.scopes_supported()));
    add("claim_types_supported", json!(op.settings.claim_types()));
    add("code_challenge_methods_supported", json!(["S256"]));
    add("prompt_values_supported", json!(crate::op::prompt::values(op)));
    add("acr_values_supported", op.settings.acr.iter().map(|acr| acr.name.as_str()).collect());
    // RFC 9207 §3.
    add("authorization_response_iss_parameter_supported", true.into());
    // RFC 9449 §5.1.
    add("dpop_signing_alg_values_supported", dpop::ALGS.iter().map(|alg| alg.name()).collect());
    add("claims_parameter_supported", true.into());
    let methods: Vec<_> = client_auth::offered(&op.settings).collect();
    let confidential: Vec<_> = methods.iter().filter(|method| **method != "none").collect();
    for (endpoint, offered) in [
        ("token_endpoint", json!(methods)),
        ("revocation_endpoint", json!(methods)),
        // RFC 7662 §2.1: introspection takes no client that cannot authenticate.
        ("introspection_endpoint", json!(confidential)),
    ] {
        add(&format!("{endpoint}_auth_methods_supported"), offered);
        let algs: Vec<_> =
            ASSERTION_ALGS.into_iter().chain(MacAlgorithm::ALL.map(MacAlgorithm::name)).collect();
        add(&format!("{endpoint}_auth_signing_alg_values_supported"), json!(algs));
    }
    binding::describe(op, &mut doc);
    doc
}

impl Op {
    /// Every scope a request can be granted.
    pub(crate) fn scopes_supported(&self) -> Vec<&str> {
        self.settings.known_scopes()
    }
}
