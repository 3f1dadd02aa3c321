//! The provider's own keys: issuer, endpoints, lifetimes, scopes, sign-in, subjects.

use super::Layout;
use super::draft::Draft;
use super::report::Outcome;
use super::source::At;
use crate::base::scalar::Span;
use crate::op;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The longest life of a code that is allowed here (RFC 6749 §4.1.2), in seconds.
const LONGEST_CODE: i64 = 600;

/// oidc-op's endpoints by the name in its configuration, and ours.
const ENDPOINTS: [(&str, &str); 11] = [
    ("provider_info", "configuration"),
    ("provider_config", "configuration"),
    ("webfinger", "webfinger"),
    ("registration", "registration"),
    ("introspection", "introspection"),
    ("authorization", "authorization"),
    ("token", "token"),
    ("userinfo", "userinfo"),
    ("end_session", "session"),
    ("session", "session"),
    ("pushed_authorization", "par"),
];

pub fn translate(draft: &mut Draft<'_>, layout: &Layout<'_>) {
    issuer(draft, layout);
    endpoints(draft, layout);
    lifetimes(draft, &layout.info);
    scopes(draft, &layout.info);
    add_ons(draft, &layout.info);
    capabilities(draft, &layout.info);
}

fn issuer(draft: &mut Draft<'_>, layout: &Layout<'_>) {
    let Some(at) = layout.info.find(&["issuer"]) else { return };
    let Some(written) = at.text() else { return draft.faulty(&at, "must be a text") };
    let whole = layout.expand(written);
    let issuer = whole.trim_end_matches('/');
    if issuer == whole {
        draft.taken(&at, format!("`op.issuer`: {issuer}"));
    } else {
        draft.changed(&at, format!("`op.issuer`: {issuer}, without the slash at its end; clients compare it exactly, so tell them"));
    }
    draft.op.insert("issuer".into(), issuer.into());
}

/// What stands before every path: the issuer may have one.
fn prefix(draft: &Draft<'_>) -> String {
    let issuer = draft.op.get("issuer").and_then(Value::as_str).unwrap_or_default();
    let rest = issuer.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().to_owned()
}

fn endpoints(draft: &mut Draft<'_>, layout: &Layout<'_>) {
    let Some(all) = layout.info.find(&["endpoint"]) else { return };
    let (offered, prefix) = (op::Offered::new(), prefix(draft));
    let mut registration = false;
    for (name, at) in all.children() {
        let kind = at.find(&["class"]).and_then(|class| class.text().map(str::to_owned)).unwrap_or_default();
        let by_name = ENDPOINTS.iter().find(|(theirs, _)| *theirs == name);
        // Pushed authorization requests have no customary name.
        let pushed = kind.ends_with("PushedAuthorization").then_some(&("", "par"));
        let Some((_, ours)) = pushed.or(by_name) else { continue };
        registration |= *ours == "registration";
        if *ours == "par" {
            pushed_lifetime(draft, &at);
        }
        let Some(path) = at.find(&["path"]) else { continue };
        let Some(written) = path.text() else {
            draft.faulty(&path, "must be a text");
            continue;
        };
        let address = format!("{prefix}/{}", layout.expand(written).trim_start_matches('/'));
        if *ours == "configuration" || *ours == "webfinger" {
            match written.starts_with(".well-known/") {
                true => draft.taken(&path, "is where the specification puts it, here too"),
                false => draft.changed(&path, "the specification fixes it to /.well-known/…"),
            }
        } else if offered.endpoints.contains(ours) {
            draft.taken(&path, format!("`op.paths.{ours}`: {address}"));
            draft.set("paths", ours, json!([address]));
        }
    }
    if registration {
        draft.op.insert("registration".into(), "open".into());
        let says = "`op.registration: open`, as before: anybody may register a client; `initial_access_token` or `closed` is safer";
        draft.report.say(all.file, &format!("{}.registration.class", all.path), Outcome::Taken, says);
    }
    further(draft, layout, &prefix);
}

/// Addresses that are no endpoints of oidc-op's configuration.
fn further(draft: &mut Draft<'_>, layout: &Layout<'_>, prefix: &str) {
    let iframe = |name: &str| layout.info.find(&["endpoint", name, "kwargs", "check_session_iframe"]);
    let iframe = iframe("end_session").or_else(|| iframe("session"));
    for (at, ours) in [(layout.info.find(&["keys", "uri_path"]), "jwks"), (iframe, "check_session")] {
        let Some(at) = at else { continue };
        let written = layout.expand(at.text().unwrap_or_default());
        // It may be a whole address of the issuer's.
        let issuer = draft.op.get("issuer").and_then(Value::as_str).unwrap_or_default();
        let path = written.strip_prefix(issuer).unwrap_or(&written);
        let address = format!("{prefix}/{}", path.trim_start_matches('/'));
        draft.taken(&at, format!("`op.paths.{ours}`: {address}"));
        draft.set("paths", ours, json!([address]));
    }
}

fn lifetimes(draft: &mut Draft<'_>, info: &At<'_>) {
    const RULES: [&str; 4] = ["authz", "kwargs", "grant_config", "usage_rules"];
    let rule = |kind: &str, name: &str| info.find(&[&RULES[..], &[kind, name]].concat());
    let handler = |kind: &str| {
        let args = info.find(&["token_handler_args", kind])?;
        args.find(&["kwargs", "lifetime"]).or_else(|| args.find(&["lifetime"]))
    };
    for (kind, handled, ours, longest) in [
        ("authorization_code", "code", "code", LONGEST_CODE),
        ("access_token", "token", "access_token", i64::MAX),
        ("refresh_token", "refresh", "refresh_token", i64::MAX),
        ("id_token", "id_token", "id_token", i64::MAX),
    ] {
        // The usage rules went before; -1 was meant as never.
        let ruled = rule(kind, "expires_in");
        let chosen =
            ruled.clone().filter(|at| at.seconds().is_some_and(|it| it > 0)).or_else(|| handler(handled));
        if let Some(never) = ruled.filter(|at| at.seconds().is_some_and(|it| it <= 0)) {
            draft.changed(&never, format!("everything ends some day: see `op.lifetimes.{ours}`"));
        }
        lifetime(draft, chosen, ours, longest);
        let by_rule = rule(kind, "expires_in").is_some_and(|at| at.seconds().is_some_and(|it| it > 0));
        if let (Some(other), true) = (handler(handled), by_rule) {
            draft.ignored(&other, "the usage rule went before it");
        }
        usage(draft, info, kind);
    }
    let grant = info.find(&["authz", "kwargs", "grant_config", "expires_in"]);
    lifetime(draft, grant, "refresh_token_total", i64::MAX);
    for (_, method) in info.find(&["authentication"]).iter().flat_map(At::children) {
        lifetime(draft, method.find(&["kwargs", "expires_in"]), "session", i64::MAX);
    }
    secret_lifetime(draft, info);
}

fn lifetime(draft: &mut Draft<'_>, at: Option<At<'_>>, ours: &str, longest: i64) {
    let Some(at) = at else { return };
    let Some(seconds) = at.seconds().filter(|seconds| *seconds > 0) else {
        return draft.changed(
            &at,
            format!("is no lifetime in seconds: `op.lifetimes.{ours}` stays as it is by default"),
        );
    };
    let kept = seconds.min(longest);
    let span = Span::secs(kept.unsigned_abs()).to_string();
    match kept == seconds {
        true => draft.taken(&at, format!("`op.lifetimes.{ours}`: {span}")),
        false => draft.changed(&at, format!("`op.lifetimes.{ours}`: {span}, the most that is allowed")),
    }
    draft.set("lifetimes", ours, span.into());
}

/// What else a usage rule may say.
fn usage(draft: &mut Draft<'_>, info: &At<'_>, kind: &str) {
    let Some(rules) = info.find(&["authz", "kwargs", "grant_config", "usage_rules", kind]) else { return };
    if rules.map().is_some_and(serde_json::Map::is_empty) {
        draft.ignored(&rules, "says nothing");
    }
    if let Some(at) = rules.find(&["max_usage"]) {
        match (kind, at.seconds()) {
            ("authorization_code", Some(1)) => draft.taken(&at, "a code is good for one use"),
            _ => draft.changed(&at, "a code is good for one use, a refresh token is replaced at each, an access token is not counted"),
        }
    }
    if let Some(at) = rules.find(&["supports_minting"]) {
        draft.changed(&at, "a code gives an access token, an ID token with `openid`, and a refresh token with `offline_access`; a refresh token gives all three again");
    }
}

fn secret_lifetime(draft: &mut Draft<'_>, info: &At<'_>) {
    let Some(kwargs) = info.find(&["endpoint", "registration", "kwargs"]) else { return };
    let expires = kwargs.find(&["client_secret_expires"]);
    if let Some(at) = expires.clone().filter(|at| at.value == &Value::Bool(false)) {
        draft.taken(&at, "`op.lifetimes.client_secret: 0`: secrets do not expire");
        return draft.set("lifetimes", "client_secret", "0".into());
    }
    if let Some(at) = expires {
        draft.taken(&at, "secrets expire");
    }
    let read = kwargs.find(&["client_secret_expires_in"]);
    // The documented name was never read, and thirty days were used; it says what was wanted.
    let documented = kwargs.find(&["client_secret_expiration_time"]);
    if let (Some(_), Some(other)) = (&read, &documented) {
        draft.ignored(other, "client_secret_expires_in stands beside it");
    }
    lifetime(draft, read.or(documented), "client_secret", i64::MAX);
}

fn scopes(draft: &mut Draft<'_>, info: &At<'_>) {
    let Some(all) = info.find(&["scopes_to_claims"]) else { return };
    for (scope, at) in all.children() {
        own_scope(draft, scope, &at);
    }
}

/// A scope and the claims it released.
pub fn own_scope(draft: &mut Draft<'_>, scope: &str, at: &At<'_>) {
    let standard = op::standard_claims(scope);
    let claims: Vec<&str> = at.texts().into_iter().filter(|claim| !op::is_reserved_claim(claim)).collect();
    let own: Vec<&str> = claims.iter().copied().filter(|claim| !standard.contains(claim)).collect();
    let missing = standard.iter().any(|claim| !claims.contains(claim));
    let known = !standard.is_empty() || ["openid", "offline_access"].contains(&scope);
    if !own.is_empty() || !known {
        draft.set("scopes", scope, json!({ "claims": own }));
    }
    match (
        known && missing,
        at.texts().iter().any(|claim| op::is_reserved_claim(claim)),
        known && own.is_empty(),
    ) {
        (true, ..) => draft.changed(
            at,
            format!("`{scope}` also releases its other standard claims (OpenID Connect Core §5.4)"),
        ),
        (_, true, false) => draft.changed(
            at,
            format!("`op.scopes.{scope}`; `sub` and `iss` are the provider's, and always there"),
        ),
        (_, _, true) => draft.taken(at, format!("`{scope}` releases its standard claims")),
        _ => draft.taken(at, format!("`op.scopes.{scope}`")),
    }
}

fn add_ons(draft: &mut Draft<'_>, info: &At<'_>) {
    for (name, at) in info.find(&["add_on"]).iter().flat_map(At::children) {
        let function = at.find(&["function"]);
        let function = function.as_ref().and_then(At::text).unwrap_or(name);
        let kwargs: Vec<_> = at.find(&["kwargs"]).iter().flat_map(At::children).collect();
        if let Some(at) = at.find(&["function"]) {
            draft.ignored(&at, "names Python code: what is needed of it is built in");
        }
        if function.contains("custom_scopes") {
            kwargs.iter().for_each(|(scope, at)| own_scope(draft, scope, at));
        } else if function.contains("pkce") {
            kwargs.iter().for_each(|(name, at)| pkce(draft, name, at));
        } else if function.contains("dpop") {
            draft.ignored(
                &at,
                "proofs of possession are checked as RFC 9449 says; the metadata lists the algorithms",
            );
        } else if function.contains("extra_args") {
            draft.ignored(&at, "answers carry what their specifications say, `iss` among it (RFC 9207)");
        } else {
            draft.report.say(at.file, &at.path, Outcome::Unknown, "is no add-on of oidc-op");
        }
    }
}

fn pkce(draft: &mut Draft<'_>, name: &str, at: &At<'_>) {
    match (name, at.value.as_bool()) {
        ("essential", Some(true)) => {
            draft.changed(at, "PKCE is required of public clients; others may use it, and then it is checked")
        }
        ("essential", _) => {
            draft.taken(at, "clients with a secret may do without PKCE; public clients may not")
        }
        ("code_challenge_method" | "code_challenge_methods", _) => {
            draft.changed(at, "only S256 is accepted (RFC 7636 §4.2, RFC 9700 §2.1.1)");
        }
        _ => draft.report.say(at.file, &at.path, Outcome::Unknown, "is no setting of the add-on"),
    }
}

fn capabilities(draft: &mut Draft<'_>, info: &At<'_>) {
    let offered = op::Offered::new();
    let mut compare = |at: Option<At<'_>>, here: &[&str]| {
        let Some(at) = at else { return };
        let wanted: Vec<&str> = match at.value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            _ => at.texts(),
        };
        let missing: Vec<&str> =
            wanted.into_iter().filter(|one| !here.iter().any(|other| words(one) == words(other))).collect();
        match missing.is_empty() {
            true => draft.taken(&at, "all of these are offered"),
            false => draft.changed(&at, format!("not offered: {}", missing.join(", "))),
        }
    };
    // oidc-op named this one and never had it; here it needs issuers that are trusted.
    let grants: Vec<&str> =
        offered.grants.iter().copied().filter(|name| !name.ends_with(":jwt-bearer")).collect();
    compare(info.find(&["capabilities", "grant_types_supported"]), &grants);
    compare(info.find(&["capabilities", "response_types_supported"]), &offered.response_types);
    compare(info.find(&["capabilities", "subject_types_supported"]), &["public", "pairwise"]);
    compare(
        info.find(&["endpoint", "authorization", "kwargs", "response_modes_supported"]),
        &offered.response_modes,
    );
    response_types(draft, info, &offered.response_types);
    request_objects(draft, info);
}

/// OpenID Connect Core §6.
fn request_objects(draft: &mut Draft<'_>, info: &At<'_>) {
    let of = |name: &str| {
        let authorization = info.find(&["endpoint", "authorization", "kwargs", name]);
        authorization.or_else(|| info.find(&["capabilities", name]))
    };
    if let Some(at) = of("request_parameter_supported") {
        let says = "request objects are taken if they are signed; oidc-op took unsigned ones too: `op.request_object.unsigned`";
        draft.changed(&at, says);
    }
    if let Some(at) = of("request_uri_parameter_supported") {
        let by_reference = at.value.as_bool().unwrap_or(true);
        draft.taken(&at, format!("`op.request_object.by_reference: {by_reference}`"));
        draft.set("request_object", "by_reference", by_reference.into());
    }
}

/// RFC 9126 §2.2: how long a pushed request lives. oidc-op never ended one.
fn pushed_lifetime(draft: &mut Draft<'_>, endpoint: &At<'_>) {
    let Some(at) = endpoint.find(&["kwargs", "ttl"]) else { return };
    let Some(seconds) = at.seconds().filter(|seconds| *seconds > 0) else {
        return draft.changed(&at, "is no lifetime in seconds: `op.par.lifetime` stays as it is by default");
    };
    let kept = seconds.clamp(5, 600);
    let span = Span::secs(kept.unsigned_abs()).to_string();
    match kept == seconds {
        true => draft.taken(&at, format!("`op.par.lifetime`: {span}")),
        false => draft.changed(&at, format!("`op.par.lifetime`: {span}, which is what is allowed")),
    }
    draft.set("par", "lifetime", span.into());
}

/// The response types that were listed, under the names they have here.
fn response_types(draft: &mut Draft<'_>, info: &At<'_>, offered: &[&str]) {
    let Some(at) = info.find(&["endpoint", "authorization", "kwargs", "response_types_supported"]) else {
        return;
    };
    let listed: Vec<&str> = at.value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let ours = |theirs: &&str| offered.iter().find(|ours| words(ours) == words(theirs)).copied();
    let kept: Vec<&str> = listed.iter().filter_map(ours).collect();
    let missing: Vec<&str> = listed.iter().copied().filter(|theirs| ours(theirs).is_none()).collect();
    match missing.is_empty() {
        true => {
            draft.taken(&at, "`op.response_types`; those with `token` are better left out (RFC 9700 §2.1.2)")
        }
        false => draft.changed(&at, format!("`op.response_types`, without {}", missing.join(", "))),
    }
    if !kept.is_empty() {
        draft.op.insert("response_types".into(), json!(kept));
    }
}

/// The order of words does not matter.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(' ').collect()
}
