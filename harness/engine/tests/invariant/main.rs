//! The invariant checkers, driven as the supervisor drives them: batches in, violations and an outcome out.

use squall_engine::invariant::Settings;
use squall_model::observation::ObservedBatch;

mod monotonic;
mod nondecreasing;
mod unique;

/// A response: sent, received, values as they stand in the body.
type Response<'a> = (u64, u64, &'a [&'a str]);

fn batch(load: u16, responses: &[Response<'_>]) -> ObservedBatch {
    let mut batch = ObservedBatch::new(load);
    for (sent_us, received_us, values) in responses {
        values.iter().for_each(|value| batch.push_token(value));
        batch.close_response(*sent_us, *received_us);
    }
    batch
}

fn settings() -> Settings {
    Settings {
        loads: vec!["refresh".to_owned(), "orders".to_owned()],
        ..Settings::default()
    }
}
