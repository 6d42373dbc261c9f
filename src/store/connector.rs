//! Turns an address into something that opens connections to it.

use redis::{
    ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates, TlsMode,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use rustls::crypto::ring;

use crate::store::{
    address::{Address, Credentials, Place},
    error::StoreError,
    link,
    tls::{self, TlsConfig},
};

/// Opens connections to an address.
pub(super) enum Connector {
    Server(Box<ConnectionInfo>, Option<TlsConfig>),
    Sentinel(Box<SentinelClient>, Option<TlsConfig>),
    Cluster(Box<ClusterClient>),
}

impl Address {
    /// Reads a Redis URL:
    ///
    /// * `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, `unix:///PATH[?db=…&user=…&pass=…]`: a server;
    /// * `redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST…]/SERVICE[/DB]`: the server that these sentinels name as the
    ///   master of `SERVICE`; user, password and database are those of the server;
    /// * `redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST…]`: the cluster that these nodes belong to.
    ///
    /// With `rediss` in place of `redis`, all connections use TLS, including those to sentinels.
    ///
    /// # Errors
    /// [`StoreError::Address`], which omits the URL because it may contain a password;
    /// [`StoreError::Certificate`].
    pub fn parse(url: &str, credentials: Credentials) -> Result<Self, StoreError> {
        let address = Self::read(url, credentials)?;
        // Builds a client now, so that an unusable address is reported here and not at its first use.
        address.connector().map_err(invalid)?;
        Ok(address)
    }

    /// Returns a new connector for each connection.
    ///
    /// A Sentinel client must not be reused: it keeps connections to the sentinels, which may be broken by then.
    pub(super) fn connector(&self) -> RedisResult<Connector> {
        match &self.place {
            Place::Server(info) => Ok(Connector::Server(Box::new(info.clone()), self.tls()?)),
            Place::Sentinel {
                sentinels,
                service,
                server,
            } => self.sentinel_connector(sentinels, service, server),
            Place::Cluster(nodes) => self.cluster_connector(nodes),
        }
    }

    /// Returns the TLS configuration if the URL asks for TLS.
    fn tls(&self) -> RedisResult<Option<TlsConfig>> {
        let tls = self.uses_tls().then(|| tls::config(&self.credentials));
        tls.transpose()
    }

    fn sentinel_connector(
        &self,
        sentinels: &[ConnectionAddr],
        service: &str,
        server: &ConnectionInfo,
    ) -> RedisResult<Connector> {
        let master = SentinelServerType::Master;
        let settings = server.redis_settings();
        let mut client = SentinelClientBuilder::new(sentinels.iter().cloned(), service, master)?
            .set_client_to_redis_db(settings.db());
        if let Some(user) = settings.username() {
            client = client.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            client = client.set_client_to_redis_password(password);
        }
        if let Some(user) = &self.credentials.sentinel_username {
            client = client.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.credentials.sentinel_password {
            client = client.set_client_to_sentinel_password(password);
        }
        if let Some(certificates) = self.certificates() {
            client = client
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        Ok(Connector::Sentinel(Box::new(client.build()?), self.tls()?))
    }

    fn cluster_connector(&self, nodes: &[ConnectionInfo]) -> RedisResult<Connector> {
        // The client must not repeat a call that failed: the loops do that, each with its own back-off.
        let mut client = ClusterClient::builder(nodes.iter().cloned())
            .retries(0)
            .connection_timeout(link::NODE_TIMEOUT)
            .response_timeout(link::CLUSTER_WHOLE);
        if let Some(certificates) = self.certificates() {
            client = client.certs(certificates);
        }
        Ok(Connector::Cluster(Box::new(client.build()?)))
    }

    /// Returns the certificates in the form of the redis crate, if the URL asks for TLS.
    fn certificates(&self) -> Option<TlsCertificates> {
        let tls = self.uses_tls();
        if tls {
            // It fails if this process has already chosen a provider, which is then used.
            let _ = ring::default_provider().install_default();
        }
        let own = self.credentials.certificate.clone();
        tls.then(|| TlsCertificates {
            client_tls: own.map(|(client_cert, client_key)| ClientTlsConfig {
                client_cert,
                client_key,
            }),
            root_cert: self.credentials.ca.clone(),
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn invalid(error: redis::RedisError) -> StoreError {
    StoreError::Address(error.to_string())
}
