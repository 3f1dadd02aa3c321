//! oidc-op's keys that nothing is computed from: what becomes of each, and why. Patterns of dotted names, where `*` is
//! any one name; a row speaks for everything below its pattern. The order matters: the first row that fits counts.

use super::report::Outcome::{self, Changed, Ignored, Taken};

type Row = (&'static str, Outcome, &'static str);

const BUILT_IN: &str = "names Python code: what is needed of it is built in";
const OWN_PAGES: &str = "the pages are our own; `op.pages` changes them";
const TRUE_METADATA: &str = "what is offered follows from what works: the metadata document lists it";
const NO_EFFECT: &str = "had no effect in oidc-op either";
const TOKEN_KEYS: &str =
    "codes and opaque tokens are random handles here, without keys; those of the old provider end with it";
const TOLD: &str = "clients are told of a logout at the addresses they registered for it";
const LOGS: &str = "logging is set by `server.log`, `server.access_log` and `server.audit_log`";
const METHODS: &str = "a client authenticates by the one method it registered, at every endpoint";

/// Of the outer file.
const OUTER: &[Row] = &[
    ("logging", Ignored, LOGS),
    ("server_name", Ignored, "follows from domain and port; nothing is made of it"),
    ("base_url", Ignored, "addresses are made from the issuer alone"),
    ("domain", Ignored, "is a part of other values, and went into them"),
    ("port", Ignored, "is a part of other values, and went into them"),
    ("httpc_params", Ignored, "belongs to op.server_info"),
    ("webserver.debug", Ignored, "there is no debug mode; `server.log.level` says how much is told"),
    ("webserver.ca_bundle", Ignored, "client certificates are not asked for at this listener"),
    ("webserver.verify_user", Ignored, "client certificates are not asked for at this listener"),
    ("OIDC_URL_PREFIX", Ignored, "the paths of the endpoints carry it already"),
    ("OIDC_OP_AUTHN_SALT_SIZE", Ignored, "salts have a fixed size here"),
];

/// Below `op.server_info`.
const INNER: &[Row] = &[
    ("base_url", Ignored, NO_EFFECT),
    ("domain", Ignored, "is a part of other values, and went into them"),
    ("port", Ignored, "is a part of other values, and went into them"),
    ("sso_ttl", Ignored, NO_EFFECT),
    ("symkey", Ignored, NO_EFFECT),
    ("client_authn", Ignored, NO_EFFECT),
    ("id_token", Ignored, NO_EFFECT),
    ("seed", Ignored, "randomness comes from the operating system"),
    ("authentication.*.class", Ignored, BUILT_IN),
    ("authentication.*.kwargs.db.class", Ignored, BUILT_IN),
    ("authentication.*.kwargs.verify_endpoint", Ignored, "the sign-in form has an address of its own"),
    ("authentication.*.kwargs", Ignored, OWN_PAGES),
    ("authz.class", Ignored, "what a person allows is asked for on a consent page"),
    (
        "capabilities.deny_unknown_scopes",
        Changed,
        "unknown scopes are left out (OpenID Connect Core §3.1.2.1)",
    ),
    ("capabilities.client_authn_method", Ignored, METHODS),
    ("capabilities", Ignored, TRUE_METADATA),
    ("claims_interface", Ignored, BUILT_IN),
    ("client_db.class", Ignored, BUILT_IN),
    ("client_db.kwargs", Ignored, "clients are kept in a file and in the store"),
    ("cookie_handler", Ignored, "cookies have names and keys of their own: everybody signs in once more"),
    ("endpoint.*.class", Ignored, BUILT_IN),
    ("endpoint.*.kwargs.client_authn_method", Ignored, METHODS),
    ("endpoint.introspection.kwargs.release", Ignored, NO_EFFECT),
    ("endpoint.introspection.kwargs.offset", Ignored, NO_EFFECT),
    (
        "endpoint.introspection.kwargs",
        Changed,
        "an introspection answer has the members of RFC 7662, and of people what `op.claims.introspection` says",
    ),
    ("endpoint.userinfo.kwargs.add_claims_by_scope", Taken, "scopes release claims at userinfo"),
    (
        "endpoint.userinfo.kwargs.enable_claims_per_client",
        Changed,
        "claims are released by scopes and by the claims parameter",
    ),
    (
        "endpoint.token.kwargs.revoke_refresh_on_issue",
        Changed,
        "a refresh token is always replaced when it is used, and its reuse ends the whole family",
    ),
    ("endpoint.token.kwargs.new_refresh_token", Ignored, NO_EFFECT),
    ("endpoint.token.kwargs.grant_types_supported", Ignored, TRUE_METADATA),
    ("endpoint.registration.kwargs.client_id_generator", Ignored, "client ids are random"),
    ("endpoint.registration.kwargs.seed", Ignored, "randomness comes from the operating system"),
    (
        "endpoint.registration_api",
        Ignored,
        "a client reads its registration at the address that registration answered with (RFC 7592)",
    ),
    (
        "endpoint.registration_read",
        Ignored,
        "a client reads its registration at the address that registration answered with (RFC 7592)",
    ),
    ("endpoint.*.kwargs.frontchannel_logout_supported", Taken, TOLD),
    ("endpoint.*.kwargs.frontchannel_logout_session_supported", Taken, TOLD),
    ("endpoint.*.kwargs.backchannel_logout_supported", Taken, TOLD),
    ("endpoint.*.kwargs.backchannel_logout_session_supported", Taken, TOLD),
    (
        "endpoint.end_session.kwargs",
        Ignored,
        "signing out is one page of our own; logout tokens are signed as the client's ID tokens are",
    ),
    (
        "endpoint.session.kwargs",
        Ignored,
        "signing out is one page of our own; logout tokens are signed as the client's ID tokens are",
    ),
    ("endpoint.*.kwargs", Ignored, TRUE_METADATA),
    ("endpoint.*.path", Ignored, "there is no such endpoint here"),
    (
        "httpc_params.verify",
        Changed,
        "TLS to others is always verified; `fetch.ca_file` names a private authority, `fetch.allow` private networks",
    ),
    ("httpc_params", Ignored, "outgoing requests are set by `fetch`"),
    ("keys.key_defs", Ignored, "keys are made for every algorithm that is signed with, and rotated"),
    ("keys.read_only", Ignored, "keys live in the store"),
    ("keys.public_path", Ignored, "the key set is made from the keys"),
    ("keys.caching", Ignored, "the key set says how long it may be kept"),
    ("login_hint2acrs", Ignored, "a login hint fills in the user name, no more"),
    ("login_hint_lookup", Ignored, "a login hint fills in the user name, no more"),
    ("scopes_handler", Ignored, BUILT_IN),
    ("session_params.password", Ignored, "old sessions end: everybody signs in once more"),
    ("session_params.salt", Ignored, NO_EFFECT),
    ("session_params.sub_func.*.class", Ignored, BUILT_IN),
    ("session_params", Ignored, "sessions are kept in the store"),
    ("template_dir", Ignored, OWN_PAGES),
    ("template_handler", Ignored, OWN_PAGES),
    ("template_loader", Ignored, OWN_PAGES),
    ("token_handler_args.jwks_file", Ignored, TOKEN_KEYS),
    ("token_handler_args.jwks_def", Ignored, TOKEN_KEYS),
    ("token_handler_args.id_token.kwargs", Ignored, TRUE_METADATA),
    (
        "token_handler_args.token.kwargs.aud",
        Ignored,
        "had no effect in oidc-op either; `op.resources` names the APIs tokens are for",
    ),
    ("token_handler_args.token.kwargs.add_claims", Ignored, NO_EFFECT),
    (
        "token_handler_args.token.kwargs",
        Changed,
        "access tokens carry no claims about people: an API asks userinfo or gets the edge's headers",
    ),
    ("token_handler_args.*.class", Ignored, BUILT_IN),
    ("token_handler_args.*.kwargs", Ignored, "has no counterpart"),
    ("userinfo.class", Ignored, BUILT_IN),
];

/// What becomes of a key of the outer file.
pub fn outer(key: &str) -> Option<(Outcome, &'static str)> {
    find(OUTER, key)
}

/// What becomes of a key of the provider's part.
pub fn inner(key: &str) -> Option<(Outcome, &'static str)> {
    find(INNER, key)
}

fn find(rows: &[Row], key: &str) -> Option<(Outcome, &'static str)> {
    let row = rows.iter().find(|(pattern, ..)| fits(pattern, key))?;
    Some((row.1, row.2))
}

/// A name may itself hold dots (`https://…` scopes): then the rest of the pattern does not fit, which is all right.
fn fits(pattern: &str, key: &str) -> bool {
    let mut names = key.split(['.', '[']);
    pattern.split('.').all(|wanted| names.next().is_some_and(|name| wanted == "*" || wanted == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_that_fits_counts() {
        assert_eq!(inner("httpc_params.verify").unwrap().0, Changed);
        assert_eq!(inner("httpc_params.timeout").unwrap().0, Ignored);
        assert_eq!(inner("endpoint.token.class").unwrap().1, BUILT_IN);
        assert_eq!(inner("keys.key_defs[1].crv").unwrap().0, Ignored);
        assert_eq!(outer("logging.handlers.console.class").unwrap().1, LOGS);
        assert!(inner("endpoints.token.path").is_none() && inner("keys").is_none() && outer("op").is_none());
    }
}
