//! All code that knows Redis. `port` is the interface for the engine and `redis_store` implements it. `console` is
//! for apps and people. Every change that must be atomic is one Lua script (`scripts/`) or one transaction.

mod address;
mod connection;
mod connector;
mod console;
mod error;
mod keys;
#[cfg(feature = "daemon")]
mod limits;
mod link;
#[cfg(feature = "daemon")]
mod port;
#[cfg(feature = "daemon")]
mod private_server;
#[cfg(feature = "daemon")]
mod record_reader;
#[cfg(feature = "daemon")]
mod redis_store;
#[cfg(feature = "daemon")]
mod scripts;
mod tls;

pub use self::{
    address::{Address, Credentials},
    console::{
        Console,
        events::EventRecord,
        history::{FireRecord, NoFireRecord},
        pauses::{Pause, Pauses},
        schedulers::{Role, Scheduler},
    },
    error::StoreError,
    keys::Keys,
};
#[cfg(feature = "daemon")]
pub use self::{
    console::{
        delayed::DelayedCounts,
        entries::{Entries, UnreadableEntry},
        jobs::{Cursor, DelayedChange, DelayedJob, DelayedOutcome, Restored, Span},
        leader::LeaderLock,
    },
    limits::Limits,
    port::{
        Store,
        delayed::{BatchLimit, Bucket, Destination, Due, MoveOutcome, Passed, Place},
        digest::digest,
        entries::{Publication, PublishedEntry, PublishedPage},
        fires::{Fire, FireOutcome, Missed, MissedOutcome},
        lease::{Heartbeat, Identity, Lease},
        records::{Away, RecordChange, Records, TimeRecord},
    },
    private_server::{Listen, PrivateServer, free_port},
    redis_store::RedisStore,
};
