//! Buckets in a Redis that several gateways share: `SET key variant NX GET`, so that whoever comes first decides for all.
//!
//! The key is `squall:bucket:EXPERIMENT:USER`, the user as its digest. Keys don't expire. While the Redis is away nobody waits for it: a task
//! looks every [`RETRY`] whether it takes writes again, by a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{BucketError, ByHash};
use crate::route::{Event, Experiment, Observe, UserDigest};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it is waited between two looks at a Redis that is away.
const RETRY: Duration = Duration::from_millis(100);
/// How often one that nobody asks is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many questions may be under way.
const QUESTIONS_MAX: usize = 1_024;
const PROBE: &str = "squall:bucket";
/// Puts another variant in the place of one that there is no more, and tells which is there then. No other way is atomic.
const REPLACE: &str = "local now = redis.call('GET', KEYS[1]) \
    if now == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return ARGV[2] end return now";

struct Shared {
    client: Client,
    deadline: Duration,
    /// None while it is away.
    connection: ArcSwapOption<MultiplexedConnection>,
    suspect: Notify,
    questions: Semaphore,
    away: AtomicBool,
    observe: Arc<dyn Observe>,
}

/// See the module.
pub(super) struct Redis {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

impl Redis {
    /// Begins to connect; until that is done, it is away.
    pub(super) fn open(
        address: &str,
        deadline: Duration,
        observe: Arc<dyn Observe>,
    ) -> Result<Self, BucketError> {
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("redis://{address}/")
        };
        let client = Client::open(url).map_err(|error| BucketError::Address {
            address: address.to_owned(),
            why: error.to_string(),
        })?;
        let runtime = Handle::try_current().map_err(|_| BucketError::Runtime)?;
        let shared = Arc::new(Shared {
            client,
            deadline,
            connection: ArcSwapOption::empty(),
            suspect: Notify::new(),
            questions: Semaphore::new(QUESTIONS_MAX),
            away: AtomicBool::new(false),
            observe,
        });
        let keeper = runtime.spawn(keep(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, keeper })
    }

    pub(super) fn is_away(&self) -> bool {
        self.shared.connection.load().is_none()
    }

    /// The variant that this user has for all who use this Redis: `given`, if it had none.
    pub(super) async fn assign(
        &self,
        experiment: &Experiment,
        user: UserDigest,
        given: usize,
    ) -> Result<usize, ByHash> {
        let shared = &*self.shared;
        let connection = shared.connection.load_full().ok_or(ByHash::Away)?;
        let _question = shared.questions.try_acquire().map_err(|_| ByHash::Busy)?;
        let mut connection = (*connection).clone();
        let asked = timeout(
            shared.deadline,
            assigned(&mut connection, experiment, user, given),
        );
        match asked.await {
            Ok(Ok(variant)) => variant.ok_or(ByHash::Unanswered),
            Ok(Err(error)) => Err(shared.suspect(&error.to_string())),
            Err(_) => Err(shared.suspect(&format!("no answer within {:?}", shared.deadline))),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    /// Takes it for away until it was looked at.
    fn suspect(&self, why: &str) -> ByHash {
        self.gone(why);
        self.suspect.notify_one();
        ByHash::Unanswered
    }

    fn gone(&self, why: &str) {
        self.connection.store(None);
        if !self.away.swap(true, Ordering::Relaxed) {
            self.observe.note(&Event::BucketStoreAway { why });
        }
    }

    fn is_there(&self, connection: &MultiplexedConnection) {
        self.connection.store(Some(Arc::new(connection.clone())));
        if self.away.swap(false, Ordering::Relaxed) {
            self.observe.note(&Event::BucketStoreBack);
        }
    }

    /// A new connection, by which it takes what will be asked of it.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(|error| error.to_string())?;
        self.probe(&mut connection).await?;
        Ok(connection)
    }

    /// What is asked for users, so that a Redis that is too old, full or a replica is found here.
    async fn probe(&self, connection: &mut MultiplexedConnection) -> Result<(), String> {
        let asked: Result<Option<Vec<u8>>, _> =
            match timeout(self.deadline, set(PROBE, "").query_async(connection)).await {
                Ok(answered) => answered,
                Err(_) => return Err(format!("no answer within {:?}", self.deadline)),
            };
        asked.map(drop).map_err(|error| error.to_string())
    }
}

fn set(key: &str, variant: &str) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(key).arg(variant).arg("NX").arg("GET");
    command
}

/// None where the variant that it has is still none of the experiment's, as when another gateway has another table.
async fn assigned(
    connection: &mut MultiplexedConnection,
    experiment: &Experiment,
    user: UserDigest,
    given: usize,
) -> Result<Option<usize>, RedisError> {
    let key = format!("{PROBE}:{}:{:032x}", experiment.name, user.0);
    let name = |variant: usize| &*experiment.variants[variant].name;
    let was: Option<Vec<u8>> = set(&key, name(given)).query_async(connection).await?;
    let Some(was) = was else {
        return Ok(Some(given));
    };
    if let Some(variant) = variant(experiment, &was) {
        return Ok(Some(variant));
    }
    let instead = name(experiment.give(user, std::str::from_utf8(&was).ok()));
    let mut replace = redis::cmd("EVAL");
    replace.arg(REPLACE).arg(1).arg(key).arg(was).arg(instead);
    let is: Option<Vec<u8>> = replace.query_async(connection).await?;
    Ok(is.and_then(|is| variant(experiment, &is)))
}

fn variant(experiment: &Experiment, name: &[u8]) -> Option<usize> {
    experiment.variant(std::str::from_utf8(name).ok()?)
}

/// Connects, watches, and connects again.
async fn keep(shared: Arc<Shared>) {
    loop {
        match shared.connect().await {
            Ok(connection) => watch(&shared, connection).await,
            Err(why) => shared.gone(&why),
        }
        sleep(RETRY).await;
    }
}

/// Returns once the connection is of no use.
async fn watch(shared: &Shared, mut connection: MultiplexedConnection) {
    loop {
        shared.is_there(&connection);
        // A look that is due, or one that somebody asks for, whichever is first.
        let _ = timeout(LOOK, shared.suspect.notified()).await;
        if let Err(why) = shared.probe(&mut connection).await {
            return shared.gone(&why);
        }
    }
}
