//! The table of policies, and the challenges of RFC 6750 §3.

use super::challenge::Case;
use super::*;

#[test]
fn every_configured_policy_has_its_own_row() {
    let bearer =
        settings::Bearer { resource: "https://api.example".into(), scopes: vec![], any_scope: vec![] };
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
    let challenge = |case| Challenge::new(case, "https://op.example", &scope);
    let missing = challenge(Case::Missing);
    assert_eq!((missing.status().as_u16(), missing.word()), (401, "no_credentials"));
    assert_eq!(missing.header(), "Bearer realm=\"https://op.example\", scope=\"api read\"");
    let insufficient = challenge(Case::Insufficient);
    assert_eq!(insufficient.status().as_u16(), 403);
    assert_eq!(
        insufficient.header(),
        "Bearer realm=\"https://op.example\", error=\"insufficient_scope\", \
         error_description=\"The access token lacks a scope that is needed\", scope=\"api read\""
    );
    let invalid = Challenge::new(Case::Invalid, "https://op.example", &[]);
    assert_eq!(invalid.status().as_u16(), 401);
    assert!(invalid.header().contains("error=\"invalid_token\"") && !invalid.header().contains("scope="));
    assert_eq!(challenge(Case::Ambiguous("x")).status().as_u16(), 400);
}
