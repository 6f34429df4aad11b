//! Flow control and circuit breaking in [Sentinel](https://sentinelguard.io)'s terms.
//!
//! | module | holds |
//! | --- | --- |
//! | [`board`] | all resources and the rules in force; where a call asks |
//! | [`guard`] | what it is answered, and how it says what came of it |
//! | [`rule`] | rules as data: Sentinel's JSON, checked |
//! | [`flow`] | limits of calls per second: [strict](flow::limiter), [warming up](flow::warm_up), [queueing](flow::queue) |
//! | [`event`] | the states of a breaker, and what is told to whoever watches |
//! | [`feed`] | the feed's three layers, made of rules |
//! | [`window`], [`stats`] | sliding windows, and what is counted of a resource |
//! | [`plant`] | bugs on request |
//! | [`service`] | the reference service around all that |
//!
//! What must hold: no limit of calls is ever exceeded, in the windows that [`flow::limiter`] states; a breaker changes
//! its state only along the arrows of [`event::State`], and has at most one probe under way. Time is handed in, in
//! nanoseconds of a clock that never goes back; nothing here but the service reads one, sleeps, or touches a file or a socket.
//!
//! ```
//! use std::sync::Arc;
//! use squall_circuit_breaker::{Entry, RuleSet, Switchboard, Unobserved};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let board = Switchboard::new(Arc::new(Unobserved));
//! board.apply(&RuleSet::from_json(r#"[{ "resource": "feed", "grade": 1, "count": 5000 }]"#)?)?;
//! let (feed, now_ns) = (board.resource("feed")?, 1_000_000);
//! match board.entry(feed, now_ns) {
//!     Entry::Pass(guard) => guard.succeed(now_ns + 250_000),
//!     Entry::Wait(waiting) => drop(waiting),
//!     Entry::Blocked(why) => panic!("{why}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Where this differs from Sentinel
//!
//! From alibaba/Sentinel 1.8 (Java), on purpose:
//!
//! | here | Sentinel | why |
//! | --- | --- | --- |
//! | a limit holds whatever threads do | checks, then counts: threads in between pass beyond it | the first layer admits at most its limit |
//! | a breaker recloses after `recoveryProbes` good probes in a row, 3 by default | after one | the platform's "recovering" |
//! | only the probe itself decides what comes of it | any call that ends while half-open does | a call from before says nothing of now |
//! | calls that passed before the breaker last changed are not counted | they are | the same |
//! | an error ratio of 1 opens when all calls failed | can never open | as Sentinel itself has it for slow calls |
//! | response times in nanoseconds | in whole milliseconds | 100.4 ms is more than 100 ms |
//! | breakers are looked at before flow control, and what a breaker refuses spends no permit | after it; nothing is spent either | one look fewer; only the reason differs where both refuse |
//! | warming up works for limits that are too small to warm up | refuses every call (division by zero) | |
//! | time is monotonic; buckets begin with the clock's zero | the wall clock, and its seconds | a step of the clock changes nothing |
//! | a rule that cannot be honoured, or has a field that nobody knows, is refused with its reason | dropped, with a line in the log | |
//! | a queue keeps who stands in it when its rule changes | it starts empty | a change of rules is no way past a limit |
//!
//! `tests/suite/sentinel.rs` holds this crate to decisions that the `sentinel-core` crate 0.1.3 (Rust) took on the same calls, by a virtual
//! clock, calls that overlap included. With one probe for recovery they are the same, but for the probe itself, which decides alone here, and for where
//! that crate differs from Sentinel:
//!
//! | `sentinel-core` | Sentinel, and here |
//! | --- | --- |
//! | a breaker opens once the threshold is reached | once it is exceeded |
//! | warming up looks back to the second that ended half a second ago | to the last whole second of the clock |
//! | a queue's step of time is cut off to nanoseconds | rounded to milliseconds there, to nanoseconds here |
//! | `max` of a warm-up is `warning + 2 * floor(period * count / (1 + c))` | `warning + floor(2 * period * count / (1 + c))` |

pub mod board;
mod breaker;
pub mod event;
pub mod feed;
pub mod flow;
pub mod guard;
mod latency;
pub mod plant;
mod reading;
pub mod rule;
pub mod service;
mod shard;
pub mod stats;
pub mod window;

pub use board::{ResourceId, Switchboard, TooManyResources};
pub use event::{Event, Observe, Reason, Slowness, State, Transition, Unobserved};
pub use feed::FeedPolicy;
pub use guard::{Blocked, Entry, Guard, Waiting};
pub use plant::Plant;
pub use rule::{RuleErrors, RuleFault, RuleSet};
pub use service::SERVICE;
pub use stats::Snapshot;
