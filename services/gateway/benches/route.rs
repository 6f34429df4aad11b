//! The time that routing adds to a request.

fn main() {}
