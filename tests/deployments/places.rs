//! A server at a TCP port, at a unix socket, and another database.

use redis::Commands;

use super::{does_its_work, program};
use crate::harness::{LOCK, Redis};

#[test]
fn port() {
    let mut redis = Redis::on_port();
    let program = program(redis.url(), &[]);
    does_its_work(&mut redis, program);
}

#[test]
fn unix_socket() {
    let mut redis = Redis::start();
    assert!(redis.url().starts_with("unix://"));
    let program = program(redis.url(), &[]);
    does_its_work(&mut redis, program);
}

#[test]
fn another_database() {
    let mut redis = Redis::start();
    let scheduler = program(&format!("{}?db=3", redis.url()), &[]).start();
    scheduler.wait_for("became the leader holder=");
    let in_0: bool = redis.connection.exists(LOCK).unwrap();
    redis.command("SELECT 3");
    let in_3: bool = redis.connection.exists(LOCK).unwrap();
    assert_eq!((in_0, in_3), (false, true));
}
