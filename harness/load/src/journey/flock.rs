//! Goose, told to launch users and nothing else.
//!
//! Each user makes its route's steps as transactions in sequence. Users are launched at once; what paces them is [`Walk`].

use std::sync::Arc;

use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError, GooseScheduler};

use super::walk::{Seat, Walk};

/// What goose is told. Without metrics it prints none; `--no-reset-metrics`, which it has against losing them, would make it print a
/// line of its own to standard output. The host is never asked: requests go through our own sockets.
const SETTINGS: [&str; 14] = [
    "--host",
    "http://127.0.0.1/",
    "--increase-rate",
    "1000000",
    "--no-metrics",
    "--no-print-metrics",
    "--no-transaction-metrics",
    "--no-scenario-metrics",
    "--no-error-summary",
    "--no-status-codes",
    "--no-telnet",
    "--no-gzip",
    "--quiet",
    "--quiet",
];

/// Users numbered `first` to `first + users`, who walk until the attack is dropped together with its runtime.
pub(super) fn attack(walk: &Arc<Walk>, first: usize, users: usize) -> Result<GooseAttack, Box<GooseError>> {
    let users_text = users.to_string();
    let mut settings = SETTINGS.to_vec();
    settings.extend(["--users", &users_text]);
    let configuration = GooseConfiguration::parse_args_default(&settings)?;
    // One client for all, which nobody uses: one each would cost milliseconds and read the system's certificates.
    let client = GooseClientBuilder::new()
        .without_cookies()
        .accept_invalid_certs(true);
    let mut attack = GooseAttack::initialize_with_config(configuration)?
        .set_scheduler(GooseScheduler::RoundRobin)
        .set_client_builder_without_cookies(client)?;
    for (at, route) in walk.routes.iter().enumerate() {
        let mut scenario = Scenario::new(&route.name).set_weight(route.weight as usize)?;
        for step in 0..route.steps.len() {
            let function = transaction(walk, at, step, first + users);
            // From 1: goose takes 0 for no sequence.
            scenario = scenario.register_transaction(Transaction::new(function).set_sequence(step + 1));
        }
        attack = attack.register_scenario(scenario);
    }
    Ok(attack)
}

/// One step as goose calls it. It is never a failure to goose, which would only count it.
fn transaction(walk: &Arc<Walk>, route: usize, step: usize, behind: usize) -> TransactionFunction {
    let walk = Arc::clone(walk);
    Arc::new(move |user: &mut GooseUser| {
        let walk = Arc::clone(&walk);
        Box::pin(async move {
            let seat = seat(user, &walk, behind);
            // Nobody else has it: this only shows the compiler so.
            let mut person = seat.lock().await;
            walk.step(&mut person, route, step).await;
            Ok(())
        })
    })
}

/// The user as we know it. Goose launches those whom it allotted last first, so they are numbered from the end: then the first so many users
/// have their routes by weight, however many a phase calls.
fn seat(user: &mut GooseUser, walk: &Walk, behind: usize) -> Seat {
    if let Some(seat) = user.get_session_data::<Seat>() {
        return Arc::clone(seat);
    }
    let number = behind.saturating_sub(1 + user.weighted_users_index);
    let seat = Seat::new(tokio::sync::Mutex::new(walk.person(number)));
    user.set_session_data(Arc::clone(&seat));
    seat
}
