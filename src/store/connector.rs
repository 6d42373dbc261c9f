//! The address of a Redis → what opens connections to it.

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

/// How connections to an address are made.
pub(super) enum Connector {
    Server(Box<ConnectionInfo>, Option<TlsConfig>),
    Sentinel(Box<SentinelClient>, Option<TlsConfig>),
    Cluster(Box<ClusterClient>),
}

impl Address {
    /// Reads `url`:
    ///
    /// * `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, `unix:///PATH[?db=…&user=…&pass=…]`: a server;
    /// * `redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST…]/SERVICE[/DB]`: the one that these
    ///   sentinels name as the master of `SERVICE`; user, password and database are the server's;
    /// * `redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST…]`: a cluster that these nodes know.
    ///
    /// With `rediss` in place of `redis` over TLS, to the sentinels, too.
    ///
    /// # Errors
    /// [`StoreError::Address`], without the URL, for it may hold a password.
    pub fn parse(url: &str, credentials: Credentials) -> Result<Self, StoreError> {
        let address = Self::read(url, credentials)?;
        // What no client can be made of is seen now, and not when it is first used.
        address.connector().map_err(invalid)?;
        Ok(address)
    }

    /// What opens a connection. A new one each time, for a sentinel's client would ask the sentinels
    /// on connections of its own that may be dead.
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

    /// How TLS is made, if it is used.
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
        // A call that fails is never repeated by the client: the loops do so, at their own pace.
        let mut client = ClusterClient::builder(nodes.iter().cloned())
            .retries(0)
            .connection_timeout(link::NODE_TIMEOUT)
            .response_timeout(link::CLUSTER_WHOLE);
        if let Some(certificates) = self.certificates() {
            client = client.certs(certificates);
        }
        Ok(Connector::Cluster(Box::new(client.build()?)))
    }

    /// What TLS needs, if it is used.
    fn certificates(&self) -> Option<TlsCertificates> {
        let tls = self.uses_tls();
        if tls {
            // An error means that another part of this process has chosen one.
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
