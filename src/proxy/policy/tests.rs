//! The table of policies, and the challenges of RFC 6750 §3.

use super::challenge::Case;
use super::*;
use crate::op::Scheme;

#[test]
fn every_configured_policy_has_its_own_row() {
    let bearer = settings::Bearer {
        resource: "https://api.example".into(),
        scopes: vec![],
        any_scope: vec![],
        binding: settings::Binding::Any,
    };
    for (rule, name) in [
        (settings::Policy::Public, "public"),
        (settings::Policy::Deny, "deny"),
        (settings::Policy::Bearer(bearer), "bearer"),
    ] {
        assert_eq!(row(&rule).name(), name);
        assert_eq!(POLICIES.iter().filter(|policy| policy.is_for(&rule)).count(), 1);
        assert_eq!(row(&rule).protects(), name != "public");
    }
    assert!(POLICIES.iter().all(|policy| !policy.spec().is_empty()));
}

#[test]
fn challenges_are_those_of_rfc_6750() {
    let scope = ["api".to_owned(), "read".to_owned()];
    let challenge = |case| Challenge::new(case, Scheme::Bearer, "https://op.example", &scope);
    let headers = |challenge: &Challenge| challenge.headers().collect::<Vec<_>>();
    let missing = challenge(Case::Missing);
    assert_eq!((missing.status().as_u16(), missing.word()), (401, "no_credentials"));
    let told = headers(&missing);
    assert_eq!(told[0], "Bearer realm=\"https://op.example\", scope=\"api read\"");
    // RFC 9449 §7.2: what else would be taken.
    assert!(told[1].starts_with("DPoP realm=\"https://op.example\", scope=\"api read\", algs=\"ES256 "));
    let insufficient = challenge(Case::Insufficient);
    assert_eq!(insufficient.status().as_u16(), 403);
    assert_eq!(
        headers(&insufficient),
        ["Bearer realm=\"https://op.example\", error=\"insufficient_scope\", \
         error_description=\"The access token lacks a scope that is needed\", scope=\"api read\""]
    );
    let invalid = Challenge::new(Case::Invalid, Scheme::Bearer, "https://op.example", &[]);
    assert_eq!(invalid.status().as_u16(), 401);
    let told = headers(&invalid);
    assert!(told.len() == 1 && told[0].contains("error=\"invalid_token\"") && !told[0].contains("scope="));
    let proof = Challenge::new(Case::Proof("x"), Scheme::Dpop, "https://op.example", &[]);
    assert_eq!((proof.status().as_u16(), proof.word()), (401, "invalid_dpop_proof"));
    assert!(headers(&proof)[0].starts_with("DPoP realm="));
    assert_eq!(challenge(Case::Ambiguous("x")).status().as_u16(), 400);
}
