//! The library from outside, a file for each part of it.

mod board;
mod breaker;
mod feed;
mod limits;
mod rules;
mod sentinel;
mod support;
