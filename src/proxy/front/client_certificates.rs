//! Asking clients for a certificate (RFC 8446 §4.3.2, RFC 8705 §7.2): any that is well formed will do, or none. That the
//! client holds its key is proved in the handshake; whom it stands for is decided by whoever asks for it.

use crate::base::certificate::is_well_formed;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Certificates a client may send besides its own.
const MOST: usize = 8;

#[derive(Debug)]
pub(super) struct Asking {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Asking {
    pub(super) fn new(provider: &CryptoProvider) -> Asking {
        Asking { algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client whose certificate nobody signed must show it, too.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match is_well_formed(end_entity) && intermediates.len() <= MOST {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
