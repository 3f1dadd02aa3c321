//! A registered client (RFC 7591 §2, OpenID Connect Registration §2). Clients of `clients_file` have the same form
//! but are never written to the store.

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::jose::MacAlgorithm;
use crate::op::settings::SubjectType;
use crate::store::IndexKey;
use crate::store::record::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The client's registered metadata, validated, and what proves it is the client.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Client {
    pub client_id: String,
    pub created: Timestamp,
    /// Where it came from: `registration`, `command line`, `file`.
    pub origin: String,
    /// The SHA-256 of the client secret, as base64url. Secrets are generated with full entropy.
    pub secret_digest: Option<String>,
    /// base64url of the client secret, sealed: only for clients that registered for MACs (`Metadata::least_secret`),
    /// which need the secret itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_sealed: Option<String>,
    /// The same of a client of `clients_file`: in memory only.
    #[serde(skip)]
    pub secret: Option<Secret>,
    /// When the secret expires; `None` = never.
    pub secret_expires: Option<Timestamp>,
    /// The SHA-256 of the RFC 7592 registration access token, as base64url.
    pub registration_token_digest: Option<String>,
    /// What the initial access token it was registered with lets it register, also later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    pub metadata: Metadata,
}

/// What a client may register.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The hosts its redirect URIs may have; empty = any.
    pub redirect_hosts: Vec<String>,
    /// The scopes it may register; empty = any.
    pub scopes: Vec<String>,
}

/// The members we know, by their registered names. Unknown ones are dropped at registration.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub redirect_uris: Vec<String>,
    pub response_types: Vec<String>,
    pub grant_types: Vec<String>,
    pub token_endpoint_auth_method: String,
    /// The one algorithm its assertions are signed with, if it registered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<String>,
    pub application_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// `client_name#de` and the like: (member, language tag) → text.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub localized: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// The scopes it may ask for, separated by spaces; `None` = any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    pub subject_type: SubjectType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    pub id_token_signed_response_alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_auth_time: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// RFC 7591 §2.3, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_enc: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<String>,
    /// RFC 9101 §10.5.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_signed_request_object: bool,
    /// RFC 9126 §6.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_authorization_requests: bool,
    /// JARM §3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_signed_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_encrypted_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_encrypted_response_enc: Option<String>,
    /// RFC 9701 §6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_enc: Option<String>,
    /// OpenID Connect Front-Channel Logout 1.0 §2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frontchannel_logout_session_required: bool,
    /// OpenID Connect Back-Channel Logout 1.0 §2.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
    /// RFC 9449 §5.2.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dpop_bound_access_tokens: bool,
    /// RFC 8705 §2.1.2: one of these five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// RFC 8705 §3.4.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// RFC 9396 §10; empty = none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types: Vec<String>,
}

impl Metadata {
    /// Whether we must know the client's secret, and not only its digest, and how long it must be at least, in octets:
    /// the client authenticates by a MAC, or has something signed by one (OpenID Connect Core §9, §10.1, §16.19).
    pub fn least_secret(&self) -> Option<usize> {
        let signed = [
            Some(&self.id_token_signed_response_alg),
            self.userinfo_signed_response_alg.as_ref(),
            self.introspection_signed_response_alg.as_ref(),
            self.authorization_signed_response_alg.as_ref(),
            self.request_object_signing_alg.as_ref(),
        ];
        let signed = signed.into_iter().flatten().filter_map(|name| MacAlgorithm::parse(name));
        let asserted = (self.token_endpoint_auth_method == "client_secret_jwt").then(|| {
            let registered = self.token_endpoint_auth_signing_alg.as_deref().and_then(MacAlgorithm::parse);
            // Any, if it registered none.
            registered.unwrap_or(MacAlgorithm::HS512)
        });
        signed.chain(asserted).map(MacAlgorithm::least_secret).max()
    }
}

impl Client {
    /// A client that cannot keep a secret (RFC 6749 §2.1).
    pub fn is_public(&self) -> bool {
        self.metadata.token_endpoint_auth_method == "none"
    }

    pub fn may_use_grant(&self, grant_type: &str) -> bool {
        self.metadata.grant_types.iter().any(|allowed| allowed == grant_type)
    }
}

impl Record for Client {
    const SHELF: &'static str = "client";

    fn id(&self) -> Bytes {
        self.client_id.clone().into()
    }
    fn expires(&self) -> Timestamp {
        Timestamp::NEVER
    }
    fn index(&self) -> Vec<IndexKey> {
        Vec::new()
    }
}
