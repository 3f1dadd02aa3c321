//! The certification ground: one test for each module of the OpenID Foundation's plans for providers, named as the module,
//! for every variant the plan runs it in. Written from the specifications and each module's stated intent;
//! tests/README.md lists them. The provider runs under `conf/conformance.yaml`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "conformance/core.rs"]
mod core;
#[path = "conformance/dynamic.rs"]
mod dynamic;
#[path = "conformance/ground.rs"]
mod ground;
#[path = "conformance/logout.rs"]
mod logout;
#[path = "conformance/metadata.rs"]
mod metadata;
#[path = "conformance/party.rs"]
mod party;
#[path = "conformance/sealing.rs"]
mod sealing;

use ground::{Ground, Variant};

/// A plan: its modules, each a test, in one variant.
macro_rules! plan {
    ($name:ident, $variant:expr, $($from:ident: [$($module:ident),* $(,)?]),* $(,)?) => {
        mod $name {
            use super::*;
            $($(
                #[tokio::test]
                async fn $module() {
                    $from::$module(&Ground::new($variant).await).await;
                }
            )*)*
        }
    };
}

/// What every flow's plan has.
macro_rules! common {
    ($name:ident, $variant:expr, [$($more:ident),* $(,)?]) => {
        plan!($name, $variant, core: [
            server, idtoken_signature, scope_profile, scope_email, scope_address, scope_phone, scope_all,
            alternate_happy_flow, display_page, display_popup, prompt_login, prompt_none_not_logged_in,
            prompt_none_logged_in, max_age_1, max_age_10000, ensure_request_with_unknown_parameter_succeeds,
            id_token_hint, login_hint, ui_locales, claims_locales, ensure_request_with_acr_values_succeeds,
            ensure_registered_redirect_uri, response_type_missing, claims_essential,
            request_uri_unsigned_supported_correctly_or_rejected_as_unsupported,
            unsigned_request_object_supported_correctly_or_rejected_as_unsupported,
            ensure_request_object_with_redirect_uri,
            $($more),*
        ]);
    };
}

const fn posted(variant: Variant) -> Variant {
    Variant { form_post: true, ..variant }
}
const fn by_post(variant: Variant) -> Variant {
    Variant { auth: "client_secret_post", ..variant }
}
const CODE: Variant = Variant::of("code");
const ID_TOKEN: Variant = Variant::of("id_token");
const ID_TOKEN_TOKEN: Variant = Variant::of("id_token token");
const CODE_ID_TOKEN: Variant = Variant::of("code id_token");
const CODE_TOKEN: Variant = Variant::of("code token");
const CODE_ID_TOKEN_TOKEN: Variant = Variant::of("code id_token token");
const DYNAMIC: Variant = Variant { auth: "private_key_jwt", ..CODE };

macro_rules! basic {
    ($name:ident, $post:ident, $variant:expr) => {
        common!($name, $variant, [
            idtoken_unsigned, userinfo_get, userinfo_post_header, userinfo_post_body,
            ensure_request_without_nonce_succeeds_for_code_flow, codereuse, codereuse_30seconds,
            ensure_post_request_succeeds, refresh_token, ensure_request_with_valid_pkce_succeeds,
        ]);
        plan!($post, by_post($variant), core: [server_client_secret_post]);
    };
}
basic!(basic, basic_post, CODE);
basic!(formpost_basic, formpost_basic_post, posted(CODE));

macro_rules! implicit {
    ($id_token:ident, $id_token_token:ident, $as:expr) => {
        common!($id_token, $as(ID_TOKEN), [ensure_request_without_nonce_fails]);
        common!(
            $id_token_token,
            $as(ID_TOKEN_TOKEN),
            [ensure_request_without_nonce_fails, userinfo_get, userinfo_post_header, userinfo_post_body,]
        );
    };
}
const fn plainly(variant: Variant) -> Variant {
    variant
}
implicit!(implicit_id_token, implicit_id_token_token, plainly);
implicit!(formpost_implicit_id_token, formpost_implicit_id_token_token, posted);

macro_rules! hybrid {
    ($name:ident, $post:ident, $variant:expr, $nonce:ident) => {
        common!($name, $variant, [
            userinfo_get, userinfo_post_header, userinfo_post_body, $nonce, codereuse, codereuse_30seconds,
            refresh_token, ensure_request_with_valid_pkce_succeeds,
        ]);
        plan!($post, by_post($variant), core: [server_client_secret_post]);
    };
}
hybrid!(hybrid_code_id_token, hybrid_code_id_token_post, CODE_ID_TOKEN, ensure_request_without_nonce_fails);
hybrid!(
    hybrid_code_token,
    hybrid_code_token_post,
    CODE_TOKEN,
    ensure_request_without_nonce_succeeds_for_code_flow
);
hybrid!(
    hybrid_code_id_token_token,
    hybrid_code_id_token_token_post,
    CODE_ID_TOKEN_TOKEN,
    ensure_request_without_nonce_fails
);
hybrid!(
    formpost_hybrid_code_id_token,
    formpost_hybrid_code_id_token_post,
    posted(CODE_ID_TOKEN),
    ensure_request_without_nonce_fails
);
hybrid!(
    formpost_hybrid_code_token,
    formpost_hybrid_code_token_post,
    posted(CODE_TOKEN),
    ensure_request_without_nonce_succeeds_for_code_flow
);
hybrid!(
    formpost_hybrid_code_id_token_token,
    formpost_hybrid_code_id_token_token_post,
    posted(CODE_ID_TOKEN_TOKEN),
    ensure_request_without_nonce_fails
);

plan!(config, CODE, dynamic: [discovery_endpoint_verification]);
plan!(dynamic_code, DYNAMIC,
    core: [server, idtoken_unsigned, ensure_request_object_with_redirect_uri, refresh_token],
    dynamic: [
        discovery_endpoint_verification, idtoken_rs256, userinfo_rs256,
        ensure_redirect_uri_in_authorization_request, redirect_uri_query_ok, redirect_uri_query_mismatch,
        redirect_uri_query_added, redirect_uri_regfrag, registration_logo_uri, registration_policy_uri,
        registration_tos_uri, registration_jwks_uri, registration_sector_uri, registration_sector_bad,
        server_rotate_keys, refresh_token_rp_key_rotation, request_uri_unsigned, request_uri_signed_rs256,
        ensure_client_assertion_with_iss_aud_succeeds,
    ],
);
plan!(third_party_init, CODE, dynamic: [third_party_init_login, third_party_init_login_nohttps]);
plan!(rp_initiated, CODE, logout: [
    rp_initiated_logout_discovery_endpoint_verification, rp_initiated_logout,
    rp_initiated_logout_bad_post_logout_redirect_uri, rp_initiated_logout_modified_id_token_hint,
    rp_initiated_logout_bad_id_token_hint, rp_initiated_logout_no_id_token_hint, rp_initiated_logout_no_params,
    rp_initiated_logout_no_post_logout_redirect_uri, rp_initiated_logout_no_state,
    rp_initiated_logout_only_state, rp_initiated_logout_query_added_to_post_logout_redirect_uri,
]);
plan!(frontchannel, CODE, logout: [
    frontchannel_logout_discovery_endpoint_verification, frontchannel_rp_initiated_logout,
]);
plan!(backchannel, CODE, logout: [
    backchannel_logout_discovery_endpoint_verification, backchannel_rp_initiated_logout,
]);
plan!(session_management, CODE, logout: [
    session_management_discovery_endpoint_verification, session_management_rp_initiated_logout,
]);

#[tokio::test]
async fn the_metadata_advertises_exactly_what_works() {
    metadata::every_advertised_value_is_used().await;
}

/// tests/README.md says of every module where its test is.
#[test]
fn the_readme_lists_every_module() {
    let readme = include_str!("README.md");
    let sources = [
        ("core", include_str!("conformance/core.rs")),
        ("dynamic", include_str!("conformance/dynamic.rs")),
        ("logout", include_str!("conformance/logout.rs")),
    ];
    let mut count = 0;
    for (file, source) in sources {
        for line in source.lines().filter(|line| line.ends_with("(ground: &Ground) {")) {
            let Some(name) = line.strip_prefix("pub async fn ").and_then(|rest| rest.split('(').next())
            else {
                continue;
            };
            assert!(readme.contains(&format!("| `{file}::{name}` |")), "{file}::{name}");
            count += 1;
        }
    }
    assert!(count > 70, "{count}");
}
