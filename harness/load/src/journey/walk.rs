//! What a user does, step by step. Goose says which step comes next; here it is asked, timed, judged and followed by a pause.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use tokio::sync::Notify;

use super::books::{Asking, Books, Turn};
use super::wire::{Scratch, Trouble, Wire};
use super::{Journey, Part, Route, Step};
use crate::check::{Checks, beginning};
use crate::clock::{Clock, NS_PER_US};
use crate::data::Values;
use crate::extract::{self, Extraction};
use crate::lane::is_gone;
use crate::ledger::CONNECT_PAUSE_NS;
use crate::protocol::http1::Prepared;
use crate::protocol::{Answer, Keep};
use crate::report::ErrorKind;
use crate::spec::{LoadSpec, Target};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Everything that the users of a load share.
pub(super) struct Walk {
    pub(super) clock: Clock,
    target: Target,
    timeout: Duration,
    pub(super) routes: Vec<Route>,
    steps: Vec<Compiled>,
    /// The values of a user that has none yet; clones count together.
    values: Values,
    /// Rounds begun, over all users.
    rounds: AtomicU64,
    spec: LoadSpec,
    pub(super) books: Mutex<Books>,
    /// The phases have changed: who rests looks again.
    pub(super) changed: Notify,
    /// A phase is over with its last step.
    pub(super) over: Notify,
    scratch: Scratch,
}

struct Compiled {
    request: Prepared,
    takes: Vec<(u16, extract::Place)>,
    checks: Checks,
    reads: bool,
}

/// One user.
pub(super) struct Person {
    number: usize,
    rng: Xoshiro256PlusPlus,
    values: Values,
    wire: Option<Wire>,
    /// No step of this round has failed yet.
    goes_on: bool,
    out: Vec<u8>,
    body: Vec<u8>,
}

impl Walk {
    /// What the users of load number `at` share; the error says which of its steps can't be written.
    pub(super) fn new(
        at: usize,
        journey: &Journey,
        loads: &[LoadSpec],
        clock: Clock,
    ) -> Result<Walk, (String, String)> {
        let spec = loads[at].clone();
        if spec.target.tls.is_some() {
            return Err((spec.name, "journeys over TLS are not supported yet".to_owned()));
        }
        let mut steps = Vec::new();
        for (place, step) in journey.steps.iter().enumerate() {
            let of = loads.get(journey.first + place);
            let Some(of) = of.filter(|of| matches!(of.protocol.part(), Part::Step(_))) else {
                let problem = format!("load {} is no step of it", journey.first + place);
                return Err((spec.name, problem));
            };
            let compiled = compile(step, of, &spec.target);
            steps.push(compiled.map_err(|problem| (of.name.clone(), problem))?);
        }
        if let Some(route) = journey.routes.iter().find(|route| !route.is_whole(journey)) {
            let problem = format!("route `{}` is empty or has steps that there are not", route.name);
            return Err((spec.name, problem));
        }
        let numbered = loads.iter().enumerate().skip(journey.first).take(steps.len());
        let read = numbered.map(|(at, load)| (at as u16, load.extract.clone()));
        let books = Books::new(at as u16, read);
        Ok(Walk {
            clock,
            target: spec.target.clone(),
            timeout: spec.timeout,
            routes: journey.routes.clone(),
            steps,
            values: journey.feeds.open(),
            rounds: AtomicU64::new(0),
            spec,
            books: Mutex::new(books),
            changed: Notify::new(),
            over: Notify::new(),
            scratch: Mutex::new(vec![0; READ_BYTES].into_boxed_slice()),
        })
    }

    /// A user who has not begun.
    pub(super) fn person(&self, number: usize) -> Person {
        Person {
            number,
            rng: self.spec.seed.child("think").nth(number as u64).rng(),
            values: self.values.clone(),
            wire: None,
            goes_on: false,
            out: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Held for moments only, never while waiting; what a panicking user left is still in order.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes step number `at` of a route, if the round has come so far.
    pub(super) async fn step(&self, person: &mut Person, route: usize, at: usize) {
        let route = &self.routes[route];
        let first = at == 0;
        if !first && !person.goes_on {
            return;
        }
        let Some(run) = self.turn(person, first).await else {
            return;
        };
        if first {
            person.begin(self.rounds.fetch_add(1, Ordering::Relaxed));
        }
        let step = route.steps[at];
        let (asking, think) = self.books().begin(run, step);
        let think = route.think.unwrap_or(think);
        let pause = match self.ask(person, step, asking).await {
            Ok(()) => Duration::ZERO,
            Err(kind) => {
                person.goes_on = false;
                pause_after(kind)
            }
        };
        let pause = pause.max(think.draw(&mut person.rng));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until the user may ask; who has to wait in the middle of a round gives it up.
    async fn turn(&self, person: &mut Person, first: bool) -> Option<usize> {
        loop {
            // Registered before looking, so that no change goes unnoticed between the two.
            let changed = self.changed.notified();
            let now_ns = self.clock.now_ns();
            let until_ns = match self.books().turn(person.number, now_ns) {
                Turn::Ask(run) => return Some(run),
                Turn::Rest(until_ns) => until_ns,
            };
            person.wire = None;
            if !first {
                person.goes_on = false;
                return None;
            }
            let wait = async {
                match until_ns {
                    u64::MAX => pending().await,
                    _ => tokio::time::sleep(Duration::from_nanos(until_ns - now_ns)).await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = wait => {}
            }
        }
    }

    /// Sends a step's request and awaits its answer. How it ended is in the books.
    async fn ask(&self, person: &mut Person, step: usize, asking: Asking) -> Result<(), ErrorKind> {
        let compiled = &self.steps[step];
        person.out.clear();
        let mut started_ns = self.clock.now_ns();
        if let Err(problem) = compiled
            .request
            .write(&person.values, &mut person.body, &mut person.out)
        {
            let trouble = (ErrorKind::Render, problem.to_string());
            self.books().sent(asking);
            return self.end(asking, started_ns, Err(trouble));
        }
        let mut wire = match self.connected(person, asking).await {
            Ok(wire) => wire,
            Err(trouble) => {
                self.books().sent(asking);
                return self.end(asking, started_ns, Err(trouble));
            }
        };
        started_ns = self.clock.now_ns();
        self.books().sent(asking);
        let exchanged = self.exchange(&mut wire, person, step, asking, started_ns);
        let answered = tokio::time::timeout(self.timeout, exchanged).await;
        let result = answered.unwrap_or_else(|_| {
            wire.is_reusable = false;
            let seconds = self.timeout.as_secs_f64();
            let text = format!("no whole answer within {seconds} s");
            Err((self.clock.now_ns(), (ErrorKind::Timeout, text)))
        });
        person.wire = wire.is_reusable.then_some(wire);
        let (now_ns, result) = match result {
            Ok(now_ns) => (now_ns, Ok(())),
            Err((now_ns, trouble)) => (now_ns, Err(trouble)),
        };
        self.end_at(asking, started_ns, now_ns, result)
    }

    fn end(&self, asking: Asking, started_ns: u64, result: Result<(), Trouble>) -> Result<(), ErrorKind> {
        self.end_at(asking, started_ns, self.clock.now_ns(), result)
    }

    fn end_at(
        &self,
        asking: Asking,
        started_ns: u64,
        now_ns: u64,
        result: Result<(), Trouble>,
    ) -> Result<(), ErrorKind> {
        let error = result.as_ref().err();
        let is_over = self.books().ended(asking, started_ns, now_ns, error);
        if is_over {
            self.over.notify_one();
        }
        result.map_err(|(kind, _)| kind)
    }

    /// The user's connection if it still stands, else a new one.
    async fn connected(&self, person: &mut Person, asking: Asking) -> Result<Wire, Trouble> {
        if let Some(wire) = person.wire.take()
            && !wire.is_stale()
        {
            return Ok(wire);
        }
        let addr = &self.target.addr;
        let connecting = Wire::connect(addr, self.spec.source, person.number as u32);
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(wire)) => {
                self.books().connected(asking);
                Ok(wire)
            }
            Ok(Err(error)) => Err((
                ErrorKind::of_connecting(&error),
                format!("connecting to {addr}: {error}"),
            )),
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                let text = format!("connecting to {addr}: not done within {seconds} s");
                Err((ErrorKind::ConnectTimeout, text))
            }
        }
    }

    /// From the request's first byte to the verdict on its answer; yields when the answer was whole, or the trouble came.
    async fn exchange(
        &self,
        wire: &mut Wire,
        person: &mut Person,
        step: usize,
        asking: Asking,
        started_ns: u64,
    ) -> Result<u64, (u64, Trouble)> {
        let now = |trouble| (self.clock.now_ns(), trouble);
        let mut sent = wire.send(&person.out).await;
        if let Err(error) = &sent
            && wire.is_used
            && is_gone(error)
        {
            // The socket knew that the target had gone before it took a byte: the request was never sent.
            *wire = self.connected(person, asking).await.map_err(now)?;
            sent = wire.send(&person.out).await;
        }
        sent.map_err(|error| now((ErrorKind::Reset, format!("writing the request: {error}"))))?;
        let compiled = &self.steps[step];
        let values = &mut person.values;
        let judge = |answer: &Answer<'_>, stamp: Option<u64>| {
            let mut now_ns = self.clock.now_ns();
            match stamp.map(|wall_ns| wall_ns.wrapping_sub(self.clock.wall_ahead_ns())) {
                Some(came_ns) => now_ns = came_ns.clamp(started_ns, now_ns),
                None => self.books().unstamped(asking),
            }
            let judged = self.judge(compiled, answer, values, asking, (started_ns, now_ns));
            (now_ns, judged)
        };
        let came = |count| self.books().received(asking, count);
        let exchange = compiled.request.exchange();
        let (now_ns, judged) = wire
            .answer(exchange, &self.scratch, came, judge)
            .await
            .map_err(now)?;
        judged.map(|()| now_ns).map_err(|trouble| (now_ns, trouble))
    }

    /// Whether an answer is as it has to be; takes from it what is to be taken.
    fn judge(
        &self,
        step: &Compiled,
        answer: &Answer<'_>,
        values: &mut Values,
        asking: Asking,
        (started_ns, now_ns): (u64, u64),
    ) -> Result<(), Trouble> {
        if answer.status >= 400 && step.checks.status.is_empty() {
            let text = format!("{}: {}", answer.status, beginning(answer));
            return Err((ErrorKind::Status(answer.status), text));
        }
        step.checks
            .judge(answer)
            .map_err(|failure| (failure.kind, failure.text))?;
        for (at, place) in &step.takes {
            let value = place
                .read(answer)
                .map_err(|problem| (ErrorKind::Extract, problem))?;
            values.keep(*at, value.into_owned());
        }
        if !step.reads {
            return Ok(());
        }
        let mut books = self.books();
        let readings = books.readings(asking);
        readings
            .read(answer, started_ns / NS_PER_US, now_ns / NS_PER_US)
            .map_err(|problem| (ErrorKind::Extract, problem))
    }
}

fn compile(step: &Step, load: &LoadSpec, target: &Target) -> Result<Compiled, String> {
    let of_values = load.extract.iter().map(Extraction::keep);
    let of_takes = step.takes.iter().map(|(_, place)| place.keep());
    let checks = step.request.checks.clone();
    let keep = of_values.chain(of_takes).fold(checks.keep(), Keep::and);
    let request = Prepared::new(&step.request, &target.host, keep).map_err(|error| error.to_string())?;
    Ok(Compiled {
        request,
        takes: step.takes.clone(),
        checks,
        reads: !load.extract.is_empty(),
    })
}

impl Person {
    /// A round begins: number `number` of the load.
    fn begin(&mut self, number: u64) {
        self.values.forget();
        self.values.draw(number);
        self.goes_on = true;
    }
}

/// The shortest pause after a failure, so that closed loop does not become a flood of attempts.
fn pause_after(kind: ErrorKind) -> Duration {
    if kind.is_before_sending() {
        Duration::from_nanos(CONNECT_PAUSE_NS)
    } else {
        Duration::ZERO
    }
}

/// A user as goose keeps it, which wants to be able to copy it.
pub(super) type Seat = Arc<tokio::sync::Mutex<Person>>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn only_what_fails_before_it_is_sent_is_held_back() {
        let error = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!pause_after(ErrorKind::of_connecting(&error)).is_zero());
        assert!(pause_after(ErrorKind::Status(503)).is_zero());
    }
}
