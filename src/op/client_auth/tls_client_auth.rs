//! `tls_client_auth`: the client's certificate of this very connection, vouched for by an authority of the operator's and
//! naming the client as it registered (RFC 8705 §2.1). What a header says of certificates is never looked at.

use super::{ClientAuth, Credentials, refused};
use crate::base::certificate::{self, DistinguishedName, Holder};
use crate::op::Op;
use crate::op::error::Result;
use crate::op::record::client::{Client, Metadata};
use crate::op::settings::Settings;
use async_trait::async_trait;
use std::net::IpAddr;

pub struct TlsClientAuth;

#[async_trait]
impl ClientAuth for TlsClientAuth {
    fn name(&self) -> &'static str {
        "tls_client_auth"
    }
    fn spec(&self) -> &'static str {
        "https://www.rfc-editor.org/rfc/rfc8705#section-2.1"
    }
    fn is_offered(&self, settings: &Settings) -> bool {
        settings.mtls.as_ref().is_some_and(|mtls| mtls.ca_file.is_some())
    }
    fn is_bare(&self) -> bool {
        true
    }

    /// §2: the request has a `client_id` and nothing else, as that of a public client.
    fn claims(&self, _presented: &Credentials<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    async fn prove(&self, op: &Op, client: &Client, presented: &Credentials<'_>) -> Result<()> {
        let peer = presented.peer;
        let shown = peer.certificate.as_deref().ok_or_else(|| refused().because("no certificate"))?;
        let authorities = op.authorities.as_ref().ok_or_else(|| refused().because("no authorities"))?;
        if !authorities.vouch_for(shown, &peer.chain, presented.now) {
            return Err(refused().because("no authority vouches for the certificate"));
        }
        let holder = certificate::holder(shown).ok_or_else(|| refused().because("no certificate at all"))?;
        match is_named(&holder, &client.metadata) {
            true => Ok(()),
            false => Err(refused().because("the certificate names somebody else")),
        }
    }
}

/// §2.1.2: by the one member that was registered.
fn is_named(holder: &Holder, metadata: &Metadata) -> bool {
    let among = |list: &[String], text: &str| list.iter().any(|name| name == text);
    let answers = [
        metadata.tls_client_auth_subject_dn.as_deref().map(|written| {
            DistinguishedName::parse(written).is_some_and(|registered| registered == holder.subject)
        }),
        // RFC 4343 §3: names of hosts have no case.
        metadata
            .tls_client_auth_san_dns
            .as_deref()
            .map(|name| holder.dns.iter().any(|known| known.eq_ignore_ascii_case(name))),
        metadata.tls_client_auth_san_uri.as_deref().map(|uri| among(&holder.uris, uri)),
        metadata.tls_client_auth_san_ip.as_deref().map(|written| {
            written.parse::<IpAddr>().is_ok_and(|registered| holder.addresses.contains(&registered))
        }),
        metadata.tls_client_auth_san_email.as_deref().map(|email| among(&holder.emails, email)),
    ];
    let mut registered = answers.into_iter().flatten();
    registered.next() == Some(true) && registered.next().is_none()
}
