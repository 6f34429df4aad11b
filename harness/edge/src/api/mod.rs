//! Toxiproxy's HTTP API over the proxies of this crate: a request in, an answer out, and what was asked for done in between.
//!
//! Answers are those of Toxiproxy 2.12, down to the order of fields and the texts of errors, since clients depend on both.
//! `tests/api` holds a transcript of the original and replays it here. What is different on purpose is in `docs/proxy.md`.
//!
//! This module looks up the names that clients give. It reads no socket, prints nothing and ends nothing: whoever serves it hands
//! requests over and writes answers.

mod answer;
mod body;
mod entry;
mod metrics;
mod place;
mod route;
mod toxic;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use squall_model::seed::Seed;

pub use answer::{Answer, ApiError};

use crate::api::body::Body;
use crate::api::entry::{Entry, View, Wanted};
use crate::api::metrics::Counters;
use crate::api::place::Places;
use crate::api::route::{Route, Routed};
use crate::api::toxic::Toxic;
use crate::{EdgeError, Options, Proxies};

/// The Toxiproxy whose API this is.
pub const VERSION: &str = "2.12.0";

/// Proxies that there may be at a time.
const PROXIES_MAX: usize = 4_096;

/// Toxics that a proxy may have at a time.
const TOXICS_MAX: usize = 1_024;

/// How browsers begin to say who they are. A page that somebody looks at must not be able to ask for anything here.
const BROWSER: &str = "Mozilla/";

/// How the API is to behave.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// Where draws of jitter and toxicity come from. The same requests give the same draws again.
    pub seed: Seed,
    /// Hosts, as names or addresses, that proxies may lead to or listen on though they are not loopback.
    pub allowed_hosts: Vec<String>,
    /// Refuses keys that nobody knows, instead of ignoring them with a warning.
    pub is_strict: bool,
}

/// A request, as far as answering it takes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'a str,
    /// The path as it was sent, with its escapes and its query.
    pub target: &'a str,
    /// Who the client says it is.
    pub user_agent: &'a str,
    /// What came after the head.
    pub body: &'a [u8],
}

/// The API, and the proxies that were made through it. Dropping it closes them.
#[derive(Debug)]
pub struct Api {
    state: Mutex<State>,
    // Behind the state, so that it is dropped after the proxies on it.
    proxies: Proxies,
    places: Places,
    seed: Seed,
    is_strict: bool,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    counters: Counters,
}

impl Api {
    /// Without any proxy.
    pub fn start(options: ApiOptions) -> Result<Api, EdgeError> {
        Ok(Api {
            state: Mutex::default(),
            proxies: Proxies::start(Options::DEFAULT)?,
            places: Places::allowing(options.allowed_hosts),
            seed: options.seed,
            is_strict: options.is_strict,
        })
    }

    /// Does what a request asks for, and answers it. Requests are served one at a time.
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        let route = match route::route(request.method, request.target) {
            Routed::To(route) => route,
            Routed::Nowhere => return Answer::text(404, "404 page not found"),
            Routed::OtherMethod => return Answer::empty(405),
            Routed::Moved(to) => return Answer::moved(to),
        };
        if request.user_agent.starts_with(BROWSER) {
            return Answer::text(403, "User agent not allowed");
        }
        let mut body = Body::new(request.body, self.is_strict);
        let answer = match self.perform(&route, &mut body) {
            Ok(answer) => answer,
            Err(error) => Answer::error(&error),
        };
        answer.warning(body.into_warnings())
    }

    /// Makes the proxies of a configuration file, which has the shape of a body for `/populate`. Returns what was ignored.
    pub fn populate(&self, json: &[u8]) -> Result<Vec<String>, ApiError> {
        let mut body = Body::new(json, self.is_strict);
        let (_, error) = self.put(&mut body, &mut self.state());
        error.map_or(Ok(body.into_warnings()), Err)
    }

    /// Closes every proxy. What is asked for after that finds none.
    pub fn close(&self) {
        self.state().entries.clear();
    }

    fn perform(&self, route: &Route, body: &mut Body<'_>) -> Result<Answer, ApiError> {
        let state = &mut *self.state();
        Ok(match route {
            Route::Version => Answer::version(),
            Route::Metrics => Answer::metrics(state.counters.text(state.entries.values())),
            Route::Reset => {
                for entry in state.entries.values_mut() {
                    self.begin(entry)?;
                    entry.clear_toxics()?;
                }
                Answer::empty(204)
            }
            Route::Populate => self.put_all(body, state),
            Route::Proxies => {
                let all = state.entries.iter();
                Answer::json(
                    200,
                    &all.map(|(name, entry)| (name, entry.view()))
                        .collect::<BTreeMap<_, _>>(),
                )
            }
            Route::CreateProxy => self.create(body, state)?,
            Route::Proxy(name) => Answer::json(200, &found(state, name)?.view()),
            Route::UpdateProxy(name) => self.update(name, body, state)?,
            Route::DeleteProxy(name) => {
                let mut entry = state.entries.remove(name).ok_or_else(no_proxy)?;
                state.counters.keep(&mut entry);
                Answer::empty(204)
            }
            Route::Toxics(name) => Answer::json(200, &found(state, name)?.view().toxics),
            Route::CreateToxic(name) => create_toxic(found(state, name)?, body)?,
            Route::Toxic(name, toxic) => Answer::json(200, found(state, name)?.toxic(toxic)?),
            Route::UpdateToxic(name, toxic) => {
                let entry = found(state, name)?;
                let changed = entry.toxic(toxic)?.changed(body)?;
                Answer::json(200, entry.change_toxic(changed)?)
            }
            Route::DeleteToxic(name, toxic) => {
                found(state, name)?.remove_toxic(toxic)?;
                Answer::empty(204)
            }
        })
    }

    fn create(&self, body: &mut Body<'_>, state: &mut State) -> Result<Answer, ApiError> {
        let wanted = Wanted::read(body)?;
        if wanted.name.is_empty() {
            return Err(ApiError::missing("name"));
        }
        if wanted.upstream.is_empty() {
            return Err(ApiError::missing("upstream"));
        }
        if state.entries.contains_key(&wanted.name) {
            return Err(ApiError::new(409, "proxy already exists"));
        }
        has_room(state)?;
        let (is_enabled, mut entry) = (wanted.enabled, Entry::new(wanted));
        if is_enabled {
            self.begin(&mut entry)?;
        }
        let answer = Answer::json(201, &entry.view());
        state.entries.insert(entry.name().to_owned(), entry);
        Ok(answer)
    }

    fn update(&self, name: &str, body: &mut Body<'_>, state: &mut State) -> Result<Answer, ApiError> {
        let entry = state.entries.get_mut(name).ok_or_else(no_proxy)?;
        let wanted = entry.wanted(body)?;
        let differs = entry.differs(&wanted, &self.places)?;
        if wanted.enabled && (differs || !entry.is_enabled()) {
            // What would be refused changes nothing.
            self.places.way(&wanted.listen, &wanted.upstream)?;
        }
        let is_enabled = wanted.enabled;
        if differs {
            state.counters.keep(entry);
            entry.move_to(wanted);
        }
        if is_enabled {
            self.begin(entry)?;
        } else {
            entry.stop()?;
        }
        Ok(Answer::json(200, &entry.view()))
    }

    /// What `/populate` answers: the proxies that were made or stayed, and what stopped it.
    fn put_all(&self, body: &mut Body<'_>, state: &mut State) -> Answer {
        let (names, error) = self.put(body, state);
        let views: Vec<View<'_>> = names.iter().map(|name| state.entries[name].view()).collect();
        // The original has no list where nothing was put, not an empty one.
        Answer::populated((!views.is_empty()).then_some(&views), error.as_ref())
    }

    /// Makes each proxy of a list, but for those that are there already with the same addresses; up to the first that fails.
    fn put(&self, body: &mut Body<'_>, state: &mut State) -> (Vec<String>, Option<ApiError>) {
        let mut names = Vec::new();
        let all = match Wanted::read_all(body) {
            Ok(all) => all,
            Err(error) => return (names, Some(error)),
        };
        for wanted in all {
            let name = wanted.name.clone();
            if let Err(error) = self.put_one(wanted, state) {
                return (names, Some(error));
            }
            names.push(name);
        }
        (names, None)
    }

    fn put_one(&self, wanted: Wanted, state: &mut State) -> Result<(), ApiError> {
        if let Some(there) = state.entries.get_mut(&wanted.name) {
            if !there.differs(&wanted, &self.places)? {
                return Ok(());
            }
            if wanted.enabled {
                self.places.way(&wanted.listen, &wanted.upstream)?;
            }
            there.stop()?;
            state.counters.keep(there);
        } else {
            has_room(state)?;
        }
        let (is_enabled, mut entry) = (wanted.enabled, Entry::new(wanted));
        if is_enabled {
            self.begin(&mut entry)?;
        }
        state.entries.insert(entry.name().to_owned(), entry);
        Ok(())
    }

    /// Lets a proxy listen, if it doesn't.
    fn begin(&self, entry: &mut Entry) -> Result<(), ApiError> {
        entry.start(&self.proxies, &self.places, self.seed)
    }

    /// What a panic elsewhere left is whole: an entry says what is to be, and starting it again makes it so.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn create_toxic(entry: &mut Entry, body: &mut Body<'_>) -> Result<Answer, ApiError> {
    let toxic = Toxic::read(body)?;
    if entry.toxic(toxic.name()).is_ok() {
        return Err(ApiError::new(409, "toxic already exists"));
    }
    let toxic = toxic.with_attributes(body)?;
    if entry.view().toxics.len() >= TOXICS_MAX {
        return Err(ApiError::new(
            400,
            format!("a proxy has {TOXICS_MAX} toxics at most"),
        ));
    }
    Ok(Answer::json(200, entry.add_toxic(toxic)?))
}

fn found<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Entry, ApiError> {
    state.entries.get_mut(name).ok_or_else(no_proxy)
}

fn no_proxy() -> ApiError {
    ApiError::new(404, "proxy not found")
}

fn has_room(state: &State) -> Result<(), ApiError> {
    if state.entries.len() < PROXIES_MAX {
        return Ok(());
    }
    Err(ApiError::new(
        400,
        format!("there are {PROXIES_MAX} proxies at most"),
    ))
}
