//! The bundled services as the engine sees them: data that the command line hands over.
//!
//! The engine knows no service by name. What it may use in a scenario, which settings it takes, which roles it calls and
//! what it promises comes from here.

use std::path::PathBuf;

use serde_json::Value;

use crate::invariant::Arrow;

/// Everything the engine may start without being told how.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The services, by name.
    pub services: Vec<CatalogueService>,
    /// Squall's own program, which is also the guard: `PROGRAM guard`.
    pub program: PathBuf,
    /// The program that serves them: `SERVER serve NAME ...`. Another than squall's own only in a gate of the services themselves.
    pub server: PathBuf,
}

impl Catalogue {
    /// The service called `name`.
    pub fn service(&self, name: &str) -> Option<&CatalogueService> {
        self.services.iter().find(|service| service.name == name)
    }
}

/// One bundled service.
#[derive(Clone, Debug)]
pub struct CatalogueService {
    /// Its name in scenarios.
    pub name: String,
    /// One line.
    pub about: String,
    /// What `with:` may hold.
    pub settings: Vec<CatalogueSetting>,
    /// The roles it calls.
    pub roles: Vec<CatalogueRole>,
    /// What it calls in roles whose names are the scenario's, if it does.
    pub other_roles: Option<String>,
    /// What it promises.
    pub invariants: Vec<CatalogueInvariant>,
    /// The metrics on its admin endpoint.
    pub metrics: Vec<String>,
}

/// One setting of a bundled service.
#[derive(Clone, Debug)]
pub struct CatalogueSetting {
    /// Its key.
    pub name: String,
    /// One line.
    pub about: String,
    /// Its JSON Schema.
    pub schema: Value,
    /// Whether its values are paths: then they are relative to the scenario's folder, and the files must be there.
    pub files: Option<Files>,
    /// Whether a value, as text, is one it takes; the error says what it takes.
    pub check: fn(service: &str, setting: &str, value: &str) -> Result<(), String>,
}

/// How many files a setting that names files takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// One.
    One,
    /// A list of them.
    Many,
}

/// A role that a service calls.
#[derive(Clone, Debug)]
pub struct CatalogueRole {
    /// Its name.
    pub name: String,
    /// Whether the service starts without it.
    pub optional: bool,
}

/// A promise of a service, checked over what its callers got.
#[derive(Clone, Debug)]
pub struct CatalogueInvariant {
    /// Its name: `unique` makes `<service>.unique`.
    pub name: String,
    /// One line.
    pub about: String,
    /// What is looked at, and how it must be.
    pub promise: Promise,
}

/// What a promise is about.
#[derive(Clone, Debug)]
pub enum Promise {
    /// Values in responses.
    Values {
        /// The kind of invariant that judges them; one that takes nothing besides.
        kind: String,
        /// Where they stand.
        values: Vec<ResponseValues>,
    },
    /// Changes of state that the service tells: those that may be.
    Transitions(Vec<Arrow>),
}

/// Where values stand in the responses to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseValues {
    /// The request path, without its query.
    pub path: String,
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// Whether the pointer names an array of values rather than one value.
    pub each: bool,
}
