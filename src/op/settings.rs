//! What an operator may say of the provider. The doc comments are the manual (conf/REFERENCE.md).

mod authorization_details;
mod disclosure;
mod dpop;
mod faults;
mod jwt_bearer;
mod logout;
mod mtls;
mod par;
mod paths;
mod people;
mod request_object;
mod software_statements;
pub mod subjects;
mod token_exchange;
pub(crate) mod trust;
mod webfinger;

pub use authorization_details::{AuthorizationDetails, DetailType, Field, Kind};
pub use disclosure::{Aggregated, ClaimSource, ClientRules, Distributed, Told};
pub use jwt_bearer::{AssertionIssuer, JwtBearer};
pub use logout::{Logout, Offline};
pub use par::PushedRequests;
pub use people::{Passwords, SecondFactor, SelfRegistration};
pub use request_object::RequestObjects;
pub use software_statements::SoftwareStatements;
pub use token_exchange::{Exchanger, TokenExchange};
pub use webfinger::WebFinger;

pub use dpop::{Dpop, Nonces};
pub use mtls::Mtls;

use crate::base::scalar::{Size, Span};
use crate::jose::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The OpenID Provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The issuer identifier: an https URL without query, fragment or trailing slash. Every token carries it.
    pub issuer: String,
    /// The path under which the endpoints live.
    #[serde(default = "mount")]
    pub mount: String,
    /// Other addresses of an endpoint, by its name (`introspection: [/oidcop/introspection, /introspection]`). The
    /// first is advertised; all answer.
    #[serde(default)]
    pub paths: BTreeMap<String, Vec<String>>,
    /// The APIs that tokens are issued for.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// The resource a token is for when its request selects none, by its `uri`. Without one such a token is for the
    /// provider alone (userinfo with `openid`, introspection).
    #[serde(default)]
    pub default_resource: Option<String>,
    /// Who may register clients at the registration endpoint.
    #[serde(default)]
    pub registration: Registration,
    /// Software statements (RFC 7591 §2.3).
    #[serde(default)]
    pub software_statements: SoftwareStatements,
    /// The response types of the authorization endpoint, each as its words in any order: of `code`, `id_token`,
    /// `id_token token`, `code id_token`, `code token`, `code id_token token`, `token` and `none`. Those with `token`
    /// put an access token into the browser's address bar (RFC 9700 §2.1.2), so they are off unless they stand here.
    #[serde(default = "super::response_type::default_names")]
    pub response_types: Vec<String>,
    /// Request objects: authorization requests as JWTs.
    #[serde(default)]
    pub request_object: RequestObjects,
    /// Pushed authorization requests.
    #[serde(default)]
    pub par: PushedRequests,
    /// What an authorization request for `offline_access` without `prompt=consent` gets.
    #[serde(default)]
    pub offline_access: OfflineAccess,
    /// How long things live.
    #[serde(default)]
    pub lifetimes: Lifetimes,
    /// Refresh tokens.
    #[serde(default)]
    pub refresh: Refresh,
    /// Signing out.
    #[serde(default)]
    pub logout: Logout,
    /// Tokens bound to a key of their client's.
    #[serde(default)]
    pub dpop: Dpop,
    /// Client certificates. Left out: none are asked for.
    #[serde(default)]
    pub mtls: Option<Mtls>,
    /// The subject type of clients that register none.
    #[serde(default)]
    pub subject_type: SubjectType,
    /// How subject identifiers are made: `own`, or as the provider did whose place this one takes.
    #[serde(default)]
    pub subjects: subjects::Subjects,
    /// Authentication context classes a sign-in may satisfy, best first.
    #[serde(default = "acr")]
    pub acr: Vec<Acr>,
    /// Scopes of your own, and the claims they release.
    #[serde(default)]
    pub scopes: BTreeMap<String, Scope>,
    /// Claims that are told without being asked for.
    #[serde(default)]
    pub claims: Told,
    /// What holds for single clients, by client id.
    #[serde(default)]
    pub clients: BTreeMap<String, ClientRules>,
    /// Others who say something about people.
    #[serde(default)]
    pub claim_sources: Vec<ClaimSource>,
    /// A YAML file of people (conf/users.yaml shows the form). Read-only: what the command line changes is kept in
    /// the store.
    #[serde(default)]
    pub users_file: Option<PathBuf>,
    /// A YAML file of clients (conf/clients.yaml shows the form). Read-only, as above.
    #[serde(default)]
    pub clients_file: Option<PathBuf>,
    /// A file with the key under which secrets are sealed at rest: 32 bytes as base64url or hexadecimal. Made on
    /// first start if it is not there. The environment variable `OIDCOP_AT_REST_KEY` goes before it.
    #[serde(default)]
    pub at_rest_key_file: Option<PathBuf>,
    /// A second factor beside the password.
    #[serde(default)]
    pub second_factor: SecondFactor,
    /// New passwords.
    #[serde(default)]
    pub passwords: Passwords,
    /// Accounts that people make themselves.
    #[serde(default)]
    pub self_registration: SelfRegistration,
    /// Signing keys.
    #[serde(default)]
    pub keys: Keys,
    /// Brakes on guessing.
    #[serde(default)]
    pub throttle: Throttle,
    /// The pages people see.
    #[serde(default)]
    pub pages: Pages,
    /// Caps on what a request may bring.
    #[serde(default)]
    pub limits: Limits,
    /// WebFinger.
    #[serde(default)]
    pub webfinger: WebFinger,
    /// Token exchange (RFC 8693).
    #[serde(default)]
    pub token_exchange: TokenExchange,
    /// The JWT bearer grant (RFC 7523 §2.1).
    #[serde(default)]
    pub jwt_bearer: JwtBearer,
    /// Rich authorization requests (RFC 9396).
    #[serde(default)]
    pub authorization_details: AuthorizationDetails,
}

fn mount() -> String {
    "/oidcop".into()
}

fn acr() -> Vec<Acr> {
    vec![Acr {
        name: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport".into(),
        needs: vec!["pwd".into()],
    }]
}

/// An API that tokens are issued for (RFC 8707).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its identifier: an absolute URI without fragment; the `aud` of its tokens and what a route names.
    pub uri: String,
    /// The scopes that select it.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The form of its access tokens.
    #[serde(default)]
    pub format: Format,
    /// How long its access tokens live, if not `lifetimes.access_token`.
    #[serde(default)]
    pub lifetime: Option<Span>,
    /// Clients that may introspect its tokens, by client id.
    #[serde(default)]
    pub introspectors: Vec<String>,
}

/// The form of an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JWT by RFC 9068, readable by the API.
    #[default]
    Jwt,
    /// An opaque handle that only introspection explains.
    Opaque,
}

/// Who may register clients (RFC 7591).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Anybody.
    Open,
    /// Whoever brings an initial access token; `oidcop-proxy client token` makes them.
    InitialAccessToken,
    /// Nobody: clients come from `clients_file` and the command line.
    #[default]
    Closed,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfflineAccess {
    /// `error` (as oidc-op does) or `ignore` (OpenID Connect Core §11).
    #[serde(default)]
    pub without_consent: WithoutConsent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WithoutConsent {
    /// The request is refused with `invalid_request`.
    #[default]
    Error,
    /// The scope is left out.
    Ignore,
}

/// How long things live.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetimes {
    /// Authorization codes; at most 10m (RFC 6749 §4.1.2).
    pub code: Span,
    pub access_token: Span,
    pub id_token: Span,
    /// Refresh tokens not used for this long end.
    pub refresh_token: Span,
    /// A family of refresh tokens ends this long after its authorization, used or not.
    pub refresh_token_total: Span,
    /// A browser session ends this long after sign-in.
    pub session: Span,
    /// A browser session not used for this long asks for sign-in again.
    pub session_idle: Span,
    /// A sign-in that was begun must be finished within this time.
    pub interaction: Span,
    /// A remembered consent.
    pub consent: Span,
    /// A generated client secret; 0 = does not expire. A client with a secret that expires gets a new one with each
    /// update of its registration.
    pub client_secret: Span,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        const DAY: u64 = 86_400;
        Lifetimes {
            code: Span::secs(60),
            access_token: Span::secs(3_600),
            id_token: Span::secs(3_600),
            refresh_token: Span::secs(30 * DAY),
            refresh_token_total: Span::secs(365 * DAY),
            session: Span::secs(12 * 3_600),
            session_idle: Span::secs(2 * 3_600),
            interaction: Span::secs(1_800),
            consent: Span::secs(365 * DAY),
            client_secret: Span::secs(0),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// Within this time after its use a refresh token gives the same successor again, so that a lost answer or a
    /// parallel request does no harm; afterwards its use is taken for theft.
    pub grace: Span,
}

impl Default for Refresh {
    fn default() -> Refresh {
        Refresh { grace: Span::secs(10) }
    }
}

/// OpenID Connect Core §8.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubjectType {
    /// The same subject identifier for every client.
    #[default]
    Public,
    /// One per sector (the host of the client's redirect URIs, or of its `sector_identifier_uri`).
    Pairwise,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acr {
    /// The `acr` value.
    pub name: String,
    /// The authentication methods (RFC 8176) a sign-in must have used: `pwd`; with `otp` or `mfa` also a code of an
    /// authenticator app.
    pub needs: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The claims userinfo releases for it.
    #[serde(default)]
    pub claims: Vec<String>,
    /// What the consent page says of it, by language tag; `en` is the fallback.
    #[serde(default)]
    pub describe: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// What ID tokens and other answers can be signed with: RS256, PS256, ES256, ES384 or EdDSA; left out, all of them.
    /// RS256 (OpenID Connect Core §15.1) and ES256 (access tokens) must be among them. A client that registered one that is not here any more gets no ID
    /// tokens until it registers another.
    pub algorithms: Vec<Algorithm>,
    /// A new signing key takes over this often; 0 = only by `key rotate`.
    pub rotate_every: Span,
    /// The next key is published at least this long before the schedule lets it sign; `key rotate` does not wait.
    pub publish_ahead: Span,
    /// A JWKS file with the private keys of a provider whose place this one takes. Read when the store has no keys yet,
    /// and never again: delete it after the first start. They sign on under their `kid` until the schedule replaces
    /// them; those of algorithms that are not signed with here only verify.
    pub import: Option<PathBuf>,
}

impl Keys {
    /// All that can be chosen from.
    pub const ALGORITHMS: [Algorithm; 5] =
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            algorithms: Keys::ALGORITHMS.into(),
            rotate_every: Span::secs(90 * 86_400),
            publish_ahead: Span::secs(86_400),
            import: None,
        }
    }
}

/// Failures are counted, not attempts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// So many failed sign-ins of one account within `window`, and further ones wait.
    pub account_failures: u32,
    /// The same for one address (IPv4 /32, IPv6 /64), and for failed client authentication.
    pub address_failures: u32,
    /// So many wrong codes of one person's second factor within `window`, and further ones wait.
    pub second_factor_failures: u32,
    /// So many accounts people may try to make from one address within `window`.
    pub self_registrations: u32,
    /// So many clients may be registered from one address within `window`.
    pub registrations: u32,
    /// So many sign-ins may be begun from one address within `window`, finished or not.
    pub interactions: u32,
    pub window: Span,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            account_failures: 10,
            address_failures: 100,
            second_factor_failures: 5,
            self_registrations: 30,
            registrations: 1_000,
            interactions: 10_000,
            window: Span::secs(900),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// A folder whose files go before the built-in templates of the same name (src/op/page/README.md lists them).
    pub templates: Option<PathBuf>,
    /// What the pages call this place.
    pub name: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The body of a request to the provider.
    pub body: Size,
    /// The bytes of one parameter.
    pub parameter: Size,
    /// The number of parameters of one request.
    pub parameters: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { body: Size::kib(256), parameter: Size::kib(64), parameters: 100 }
    }
}
