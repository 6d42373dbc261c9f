//! The TLS configuration: whom to trust, and the client certificate.

use std::{fmt, sync::Arc};

use redis::{ErrorKind, RedisError, RedisResult};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::store::address::Credentials;

/// A TLS configuration, shared by connections.
pub(super) type TlsConfig = Arc<ClientConfig>;

/// Builds the TLS configuration for `credentials`.
///
/// # Errors
/// If a certificate or a key cannot be used.
pub(super) fn config(credentials: &Credentials) -> RedisResult<TlsConfig> {
    const AUTHORITIES: &str = "cannot use the certificates in --tls-ca (PEM)";
    const OWN: &str = "cannot use --tls-cert and --tls-key (PEM)";
    let mut roots = RootCertStore::empty();
    if let Some(pem) = &credentials.ca {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(because(AUTHORITIES))?;
            roots.add(certificate).map_err(because(AUTHORITIES))?;
        }
    } else {
        // Certificates that rustls cannot parse are skipped, because a host may have some that are not needed
        // here.
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(because("cannot use TLS"))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &credentials.certificate else {
        return Ok(Arc::new(config.with_no_client_auth()));
    };
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(because(OWN))?;
    let config = config.with_client_auth_cert(chain.map_err(because(OWN))?, key);
    Ok(Arc::new(config.map_err(because(OWN))?))
}

fn because<E: fmt::Display>(what: &'static str) -> impl Fn(E) -> RedisError {
    move |error| (ErrorKind::InvalidClientConfig, what, error.to_string()).into()
}
