//! One bad thing around the process stops one thing: a log that nobody reads, signals at any moment, schedule
//! files that hang, and values that forge or reveal.

mod logs;
mod pidfile;
mod schedules;
mod secrets;
mod signals;
