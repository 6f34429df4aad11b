//! Any sequence of takes, waits, steps, freezes and restarts yields ids that strictly increase.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use squall_id_generator::{
    Attempt, Config, GenerateError, Generator, HighWaterMark, ManualClock, Policy, Unobserved,
};

/// Something done to a generator or its clock.
#[derive(Debug, Clone)]
enum Deed {
    Take { want: u16, times: u8 },
    Pass { us: u64 },
    Step { us: i64 },
    Freeze(bool),
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => (1_u16..5_000, 1_u8..8).prop_map(|(want, times)| Deed::Take { want, times }),
        4 => (1_u64..5_000).prop_map(|us| Deed::Pass { us }),
        2 => (-12_000_i64..12_000).prop_map(|us| Deed::Step { us }),
        2 => (-100_000_i64..100_000).prop_map(|us| Deed::Step { us }),
        1 => (-4_000_000_000_i64..4_000_000_000).prop_map(|us| Deed::Step { us }),
        1 => any::<bool>().prop_map(Deed::Freeze),
        1 => Just(Deed::Restart),
    ]
}

struct World {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    config: Config,
    generator: Option<Generator<Arc<ManualClock>>>,
    ids: Vec<u64>,
}

impl World {
    fn new(policy: Policy) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at_ms(80_000_000_000)),
            config: Config {
                policy,
                ..Config::default()
            },
            generator: None,
            ids: Vec::new(),
        };
        world.restart();
        world
    }

    fn restart(&mut self) {
        self.generator = None;
        let mark = HighWaterMark::open(self.folder.path(), 0, Arc::new(Unobserved)).unwrap();
        self.generator = Some(Generator::new(
            self.config,
            Arc::clone(&self.clock),
            mark,
            Arc::new(Unobserved),
        ));
    }

    fn apply(&mut self, deed: &Deed) -> Result<(), GenerateError> {
        match *deed {
            Deed::Take { want, times } => {
                let generator = self.generator.as_ref().unwrap();
                for _ in 0..times {
                    self.ids.push(generator.next_id()?);
                    if let Attempt::Taken(ids) = generator.try_take(want)? {
                        self.ids.extend(ids.iter());
                    }
                }
            }
            Deed::Pass { us } => self.clock.pass(Duration::from_micros(us)),
            Deed::Step { us } => self.clock.step_us(us),
            Deed::Freeze(frozen) => self.clock.freeze(frozen),
            Deed::Restart => self.restart(),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_strictly_increase_and_are_always_issued_under_the_policy_backup(
        deeds in prop::collection::vec(deed(), 1..80),
    ) {
        let mut world = World::new(Policy::Backup);
        for deed in &deeds {
            world.apply(deed).unwrap();
        }
        prop_assert!(world.ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn ids_strictly_increase_under_the_policy_reject(deeds in prop::collection::vec(deed(), 1..80)) {
        let mut world = World::new(Policy::Reject);
        for deed in &deeds {
            // A refusal is an answer; only a repeated id would be wrong.
            let _ = world.apply(deed);
        }
        prop_assert!(world.ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
