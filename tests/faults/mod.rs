//! Exactly once, whatever breaks. One file for each thing that breaks; most are a workload of an
//! entry that fires each second, a fault, and the verdict that no second is lost or doubled.

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
