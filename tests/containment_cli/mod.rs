//! Trouble around the process affects only what it concerns: a log pipe without a reader, signals at any moment,
//! schedule files that hang, and values that forge log lines or contain secrets.

mod logs;
mod pidfile;
mod schedules;
mod secrets;
mod signals;
