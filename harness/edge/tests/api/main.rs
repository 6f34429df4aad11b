//! The API: what the original answers, what is Squall's own, and what becomes of bytes.

mod original;
mod own;
mod transcript;
