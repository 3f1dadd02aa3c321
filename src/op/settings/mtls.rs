//! Client certificates (RFC 8705).

use crate::base::uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Clients that show a certificate in the TLS handshake (RFC 8705). It needs the listener `front.mtls`, which asks for
/// certificates; the others do not, since browsers would put the question to people.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mtls {
    /// Scheme, host and port under which clients reach that listener, such as `https://mtls.example.com` or
    /// `https://login.example.com:8443`: the endpoints are advertised there as well (`mtls_endpoint_aliases`).
    pub origin: String,
    /// A PEM file with the authorities that sign clients' certificates, for clients that register `tls_client_auth`.
    /// Without it clients can register `self_signed_tls_client_auth` and certificate-bound tokens only. Read at start and
    /// at every reload.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Mtls {
    /// Host, and port if it is not 443.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }

    pub(super) fn faults(&self, issuer: &str, found: &mut Vec<(String, String)>) {
        if !self.origin.starts_with("https://") || uri::origin(&self.origin).as_ref() != Some(&self.origin) {
            let says = "must be scheme, host and port alone, such as https://mtls.example.com";
            found.push(("mtls.origin".into(), says.into()));
        } else if uri::origin(issuer).as_ref() == Some(&self.origin) {
            let says = "must differ from the issuer's: its listener asks no browser for a certificate";
            found.push(("mtls.origin".into(), says.into()));
        }
    }
}
