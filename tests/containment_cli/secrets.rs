//! Logs, errors and `--help` never show a secret.

use crate::harness::Program;

#[test]
fn a_password_anywhere_in_the_redis_url_is_not_shown() {
    for url in [
        "redis://host?protocol=s3cret",
        "redis://host/0?password=s3cret",
        "redis://host/0?s3cret",
        "redis://host/s3cret",
        "redis://host/0#s3cret",
        "rediss://host/0#s3cret",
        "redis://host:s3cret/0",
        "unix:///run/redis.sock?password=s3cret",
        "unix:///run/redis.sock?db=s3cret",
        "unix:///run/redis.sock?protocol=s3cret",
        "redis+sentinel://host/main?password=s3cret",
        "redis+sentinel://host/main/s3cret",
        "redis+cluster://host/s3cret",
        "s3cret://host",
    ] {
        let finished = Program::new().env("REDIS_URL", url).args(["--once"]).run();
        assert_eq!(finished.status.code(), Some(1), "{url}");
        assert!(
            finished.log.contains("cannot use the Redis URL"),
            "{url}: {}",
            finished.log
        );
        assert!(!finished.log.contains("s3cret"), "{url}: {}", finished.log);
    }
}

#[test]
fn a_redis_url_in_the_place_of_a_schedule_is_not_shown() {
    let finished = Program::new().args(["redis://:s3cret@host/0"]).run();
    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.log.contains("REDIS_URL"), "{}", finished.log);
    assert!(!finished.log.contains("s3cret"), "{}", finished.log);
}

#[test]
fn tls_without_a_check_of_the_certificate_is_refused_at_the_start() {
    let mut program = Program::new().env("REDIS_URL", "rediss://127.0.0.1:1/0#insecure");
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.log.contains("--tls-ca"), "{}", finished.log);
}

#[test]
fn help_shows_neither_the_sentinel_user_nor_the_path_of_the_tls_key() {
    let program = Program::new()
        .env("REDIS_SENTINEL_USERNAME", "s3cret")
        .env("REDIS_SENTINEL_PASSWORD", "s3cret")
        .env("REDIS_TLS_KEY", "/s3cret");
    let help = program.args(["--help"]).run().succeeded().output;
    for name in [
        "REDIS_SENTINEL_USERNAME",
        "REDIS_SENTINEL_PASSWORD",
        "REDIS_TLS_KEY",
    ] {
        assert!(help.contains(&format!("[env: {name}]")), "{help}");
    }
    assert!(!help.contains("s3cret"), "{help}");
}
