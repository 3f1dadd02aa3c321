//! Which claims a scope releases (OpenID Connect Core §5.4), and what type each standard claim has (§5.1).

use crate::op::settings::Settings;
use serde_json::Value;

/// The scopes of OpenID Connect Core §5.4.
const BY_SCOPE: &[(&str, &[&str])] = &[
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

const ADDRESS: &[&str] = &["formatted", "street_address", "locality", "region", "postal_code", "country"];

/// The claims of a standard scope.
pub(in crate::op) fn standard(scope: &str) -> &'static [&'static str] {
    BY_SCOPE.iter().find(|(name, _)| *name == scope).map_or(&[], |(_, claims)| claims)
}

/// The claims that `scope` releases to `client_id`; never `sub`, which is made by the provider.
pub(in crate::op) fn of_scope<'a>(
    settings: &'a Settings,
    client_id: &str,
    scope: &str,
) -> impl Iterator<Item = &'a str> {
    let special = settings.clients.get(client_id).and_then(|rules| rules.scopes.get(scope));
    let standard = BY_SCOPE.iter().find(|(name, _)| *name == scope && special.is_none());
    let standard = standard.map_or(&[][..], |(_, claims)| claims);
    let own = special.or_else(|| settings.scopes.get(scope));
    let own = own.map(|scope| scope.claims.as_slice()).unwrap_or_default();
    standard.iter().copied().chain(own.iter().map(String::as_str)).filter(|claim| *claim != "sub")
}

pub(super) fn names(settings: &Settings) -> Vec<String> {
    let mut names: Vec<String> = vec!["sub".into()];
    let scopes = BY_SCOPE.iter().map(|(scope, _)| *scope).chain(settings.scopes.keys().map(String::as_str));
    let by_scope = scopes.flat_map(|scope| of_scope(settings, "", scope));
    let told =
        [&settings.claims.id_token, &settings.claims.userinfo].into_iter().flatten().map(String::as_str);
    let referred = settings.claim_sources.iter().flat_map(|source| &source.claims).map(String::as_str);
    for name in by_scope.chain(told).chain(referred) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// What is wrong with a person's claim, if anything.
pub(in crate::op) fn fault(name: &str, value: &Value) -> Option<&'static str> {
    match name.split('#').next().unwrap_or_default() {
        "sub" => Some("is made by the provider, not given"),
        "email_verified" | "phone_number_verified" if !value.is_boolean() => Some("must be true or false"),
        // A number of seconds, as in RFC 7519 §2.
        "updated_at" if !value.is_u64() => Some("must be a number of seconds since 1970"),
        "address" => address_fault(value),
        "email_verified" | "phone_number_verified" | "updated_at" => None,
        standard if BY_SCOPE.iter().any(|(_, claims)| claims.contains(&standard)) && !value.is_string() => {
            Some("must be a text (quote what looks like a number or a date)")
        }
        _ => None,
    }
}

/// OpenID Connect Core §5.1.1.
fn address_fault(value: &Value) -> Option<&'static str> {
    let Some(members) = value.as_object() else { return Some("must be a map") };
    let fine = members.iter().all(|(name, value)| ADDRESS.contains(&name.as_str()) && value.is_string());
    (!fine).then_some(
        "may have formatted, street_address, locality, region, postal_code and country, each a text (quote numbers)",
    )
}
