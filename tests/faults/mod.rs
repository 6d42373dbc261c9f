//! Every fire exactly once, whatever fails. One file for each thing that fails. Most tests run an entry that fires
//! every second, cause a fault, and check that no second is lost or doubled.

mod catching_up;
mod clocks;
mod failover;
mod forgotten;
mod long_backlogs;
mod poison;
mod racing_clients;
mod redis_faults;
mod ruby_gem;
mod stuck_lock;
