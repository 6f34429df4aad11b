//! What can be wrong with a plug-in: when it is pushed, and when it is asked.

use std::fmt;
use std::time::Duration;

use super::abi;

/// Why a plug-in was not put in force. What was in force before still is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// It is neither of the forms that can be read.
    #[error("is neither a WebAssembly module, nor its text, nor either in base64: {0}")]
    Form(String),
    /// The text is not WebAssembly's.
    #[error("cannot be read as WebAssembly text: {0}")]
    Text(String),
    /// It is too large.
    #[error("has {found} {what}; at most {max} are allowed")]
    Size {
        /// Of what it has too many.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// It is no valid module, or one that uses what is not supported.
    #[error("is no module that can be used: {0}")]
    Module(String),
    /// It runs code before it is asked anything.
    #[error("has a start function; set up what you need when you are first called")]
    Start,
    /// It wants something that there is not.
    #[error("imports {0}; there are {functions} of {module}", functions = abi::FUNCTIONS.join(", "), module = abi::MODULE)]
    Import(String),
    /// It lacks something.
    #[error("does not export {0}: {1}")]
    Export(&'static str, &'static str),
    /// It took too long to compile.
    #[error("was not compiled within {0:?}; make it smaller")]
    Slow(Duration),
    /// It failed on a request without headers.
    #[error("failed on a GET of / without headers: {0}")]
    TestRun(PluginFailure),
    /// The compiler failed.
    #[error("could not be compiled: the compiler failed")]
    Compiler,
}

impl PluginError {
    /// Whether it only names a cluster that there is not: another document may have it.
    pub fn awaits_cluster(&self) -> bool {
        matches!(self, Self::TestRun(PluginFailure::Cluster))
    }
}

/// Why a call of a plug-in said nothing that could be used. The request went where the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PluginFailure {
    /// It trapped.
    Trap,
    /// It used up its fuel.
    Fuel,
    /// It wanted more memory, or a larger table, than it may have.
    Memory,
    /// It pointed outside of its memory.
    Pointer,
    /// It named a cluster that there is not.
    Cluster,
    /// Its weight is not from 0 to 1.
    Weight,
    /// It could not be instantiated, or the interpreter failed.
    Internal,
}

impl PluginFailure {
    /// All of them, for whoever counts by kind.
    pub const ALL: [Self; 7] = [
        Self::Trap,
        Self::Fuel,
        Self::Memory,
        Self::Pointer,
        Self::Cluster,
        Self::Weight,
        Self::Internal,
    ];

    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Pointer => "pointer",
            Self::Cluster => "cluster",
            Self::Weight => "weight",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "it trapped",
            Self::Fuel => "it used up its fuel",
            Self::Memory => "it wanted more memory than it may have",
            Self::Pointer => "it pointed outside of its memory",
            Self::Cluster => "it named a cluster that there is not",
            Self::Weight => "its weight is not from 0 to 1",
            Self::Internal => "it could not be run",
        })
    }
}
