//! Integration tests: the real program on a real redis-server. One file for each capability.
