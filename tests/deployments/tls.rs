//! TLS with a private certificate authority and a client certificate.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rescue_scheduler::store::{Listen, PrivateServer, free_port};
use tempfile::TempDir;

use super::{does_its_work, program};
use crate::harness::Redis;

/// A folder of certificates: `ca.pem`, and `NAME.pem` and `NAME.key` for the server, for the client, and for a
/// stranger whose certificate another authority signed.
struct Certificates(TempDir);

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Certificates {
    fn new() -> Self {
        let certificates = Self(tempfile::tempdir().unwrap());
        let (ours, other) = (authority("Ours"), authority("Another"));
        certificates.write("ca.pem", &ours.pem());
        certificates.write("other-ca.pem", &other.pem());
        let here = ["localhost", "127.0.0.1"];
        certificates.issue("server", &here, &ours);
        certificates.issue("elsewhere", &["elsewhere.example"], &ours);
        certificates.issue("client", &here, &ours);
        certificates.issue("stranger", &here, &other);
        certificates
    }

    fn issue(&self, name: &str, hosts: &[&str], authority: &Authority) {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, authority).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.into_os_string().into_string().unwrap()
    }
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Starts a server with TLS on a port, and with a unix socket for the test. Returns its TLS URL, too.
fn server(certificates: &Certificates, name: &str) -> (Redis, String) {
    let port = free_port().unwrap();
    let path = |name: &str| certificates.path(name);
    let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
    let ca = path("ca.pem");
    let port_text = port.to_string();
    let options = [
        ["--tls-port", &port_text],
        ["--bind", "127.0.0.1"],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", "yes"],
    ];
    let server = PrivateServer::launch("redis-server", Listen::Socket, options.as_flattened());
    (
        Redis::new(server.unwrap()),
        format!("rediss://127.0.0.1:{port}"),
    )
}

#[test]
fn tls_works_with_a_private_authority_and_a_client_certificate() {
    let certificates = Certificates::new();
    let (mut redis, url) = server(&certificates, "server");
    let path = |name| certificates.path(name);
    let args = [
        ["--tls-ca", &path("ca.pem")],
        ["--tls-cert", &path("client.pem")],
        ["--tls-key", &path("client.key")],
    ];
    does_its_work(&mut redis, program(&url, args.as_flattened()));
}

#[test]
fn tls_fails_if_either_certificate_is_from_another_authority() {
    let certificates = Certificates::new();
    let (_redis, url) = server(&certificates, "server");
    let path = |name| certificates.path(name);
    let (ca, other_ca) = (path("ca.pem"), path("other-ca.pem"));
    let (client, client_key) = (path("client.pem"), path("client.key"));
    let (stranger, stranger_key) = (path("stranger.pem"), path("stranger.key"));
    let ours = ["--tls-cert", &client, "--tls-key", &client_key];
    let theirs = ["--tls-cert", &stranger, "--tls-key", &stranger_key];
    for (args, reason) in [
        (
            [&["--tls-ca", &other_ca][..], &ours[..]].concat(),
            "invalid peer certificate",
        ),
        (ours.to_vec(), "invalid peer certificate"),
        ([&["--tls-ca", &ca][..], &theirs[..]].concat(), "alert"),
        (["--tls-ca", &ca].to_vec(), "alert"),
    ] {
        let scheduler = program(&url, &args).start();
        scheduler.wait_for("cannot use Redis");
        let log = scheduler.log();
        assert!(
            log.contains(reason) && !log.contains("became the leader holder="),
            "{args:?} {log}"
        );
    }
}

#[test]
fn a_wrong_choice_between_redis_and_rediss_is_explained() {
    let certificates = Certificates::new();
    let (_redis, url) = server(&certificates, "server");
    let scheduler = program(&url.replace("rediss:", "redis:"), &[]).start();
    scheduler.wait_for("must begin with `rediss`, not `redis`");

    let plain = Redis::on_port();
    let url = plain.url().replace("redis:", "rediss:");
    let scheduler = program(&url, &["--tls-ca", &certificates.path("ca.pem")]).start();
    scheduler.wait_for("must begin with `redis`, not `rediss`");
}

#[test]
fn tls_checks_the_name_of_the_host() {
    let certificates = Certificates::new();
    let (_redis, url) = server(&certificates, "elsewhere");
    let args = [
        ["--tls-ca", &certificates.path("ca.pem")],
        ["--tls-cert", &certificates.path("client.pem")],
        ["--tls-key", &certificates.path("client.key")],
    ];
    let scheduler = program(&url, args.as_flattened()).start();
    scheduler.wait_for("not valid for name");
}

#[test]
fn an_unusable_certificate_is_reported_at_the_start() {
    let certificates = Certificates::new();
    certificates.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
    );
    certificates.write("empty.pem", "");
    for (path, scheme, words) in [
        ("missing.pem", "rediss", "cannot read"),
        ("broken.pem", "rediss", "PEM"),
        ("empty.pem", "rediss", "holds no PEM certificate"),
        ("ca.pem", "redis", "does not use TLS"),
    ] {
        let args = ["--tls-ca", &certificates.path(path)];
        let finished = program(&format!("{scheme}://127.0.0.1:1"), &args).run();
        assert_eq!(finished.status.code(), Some(1));
        assert!(finished.log.contains(words), "{}", finished.log);
    }
}

#[test]
fn a_key_that_does_not_belong_to_its_certificate_is_reported_at_the_start() {
    let certificates = Certificates::new();
    certificates.write("empty.key", "");
    for (key, words) in [
        ("stranger.key", "--tls-key does not belong to --tls-cert"),
        ("client.pem", "holds no PEM private key"),
        ("empty.key", "holds no PEM private key"),
    ] {
        let (certificate, key) = (certificates.path("client.pem"), certificates.path(key));
        let args = ["--tls-cert", &certificate, "--tls-key", &key];
        let finished = program("rediss://127.0.0.1:1", &args).run();
        assert_eq!(finished.status.code(), Some(1));
        assert!(finished.log.contains(words), "{}", finished.log);
    }
}
