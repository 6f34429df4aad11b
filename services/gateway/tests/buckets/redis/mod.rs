//! Buckets in Redis: with a real `redis-server`, where it is installed, and with servers that are none.

mod outage;
mod server;
mod sharing;
