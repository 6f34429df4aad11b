//! The way of a request: taken in, routed, sent on, answered.
//!
//! | module | holds |
//! | --- | --- |
//! | [`server`] | the threads: one accepts, each worker serves its connections by itself |
//! | [`connection`] | one connection of a client |
//! | [`client`] | what its requests know of it: whose it is, whether it is in use |
//! | [`forward`] | one request, from its head to the head of its answer |
//! | [`attempt`] | one try of it at one endpoint |
//! | [`head`] | what a request must be, and what is changed of it on the way |
//! | [`hop`] | the fields that are between two neighbours only |
//! | [`deadline`] | how long a request may take |
//! | [`replay`] | a request that can be sent again |
//! | [`body`] | bodies of requests on their way |
//! | [`relay`] | bodies of answers on their way, and what is held until they end |
//! | [`refusal`] | answers of the gateway's own |

pub mod attempt;
pub mod body;
pub mod client;
pub mod connection;
pub mod deadline;
pub mod forward;
pub mod head;
pub mod hop;
pub mod refusal;
pub mod relay;
pub mod replay;
pub mod server;
