//! What becomes of buckets when the process, the disk or a Redis fails them.

mod crash;
mod disk_full;
mod redis;
mod users;
