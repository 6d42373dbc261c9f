//! Redis: the only floor that knows a key. `port` is what the loops want done, `redis_store` does it; `console` is
//! what apps and people want done. What must be atomic is one Lua script (`scripts/`).

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
