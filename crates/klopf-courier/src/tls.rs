//! Whom to trust, for guestbooks and mailboxes alike.

use std::sync::Arc;

use klopf_brief::Trouble;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The certificates in a text in PEM, or without one those that this host trusts.
///
/// # Errors
/// [`Trouble::Tls`]: there is none, or one that cannot be read.
pub(crate) fn trusted(pem: Option<&str>) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let certificates = match pem {
        Some(pem) => {
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| Trouble::Tls)?
        }
        // A host may have some that cannot be read beside those that can.
        None => rustls_native_certs::load_native_certs().certs,
    };
    if certificates.is_empty() { Err(Trouble::Tls) } else { Ok(certificates) }
}

/// The cryptography of TLS.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
