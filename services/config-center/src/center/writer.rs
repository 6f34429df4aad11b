//! The thread that makes changes: one at a time in the books, many at a time on disk.

use std::path::{Path, PathBuf};
use std::sync::Weak;

use squall_service_kit::log;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::books::{Books, Order};
use super::limits::GROUP_MAX;
use super::{Center, Refusal};
use crate::plant::Plant;
use crate::record::Change;
use crate::store::{Durability, Store, StoreError};
use crate::wall;
use squall_config_client::key::ConfigKey;

type Detail = Result<Option<(Change, String)>, Refusal>;

/// What the writer is asked, and the place it takes until it is done.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) place: OwnedSemaphorePermit,
}

/// See [`Job`].
#[derive(Debug)]
pub(super) enum Work {
    Order {
        order: Order,
        reply: oneshot::Sender<Result<u64, Refusal>>,
    },
    Page {
        key: ConfigKey,
        page: usize,
        size: usize,
        reply: oneshot::Sender<(usize, Vec<Change>)>,
    },
    Change {
        nid: u64,
        reply: oneshot::Sender<Detail>,
    },
    Previous {
        id: u64,
        reply: oneshot::Sender<Detail>,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    center: Weak<Center>,
    folder: PathBuf,
    /// Gone after a write that failed, until it can be opened again.
    open: Option<(Store, Books)>,
    durability: Durability,
}

/// What was asked and is answered once it is on disk.
struct Made {
    reply: oneshot::Sender<Result<u64, Refusal>>,
    result: Result<u64, Refusal>,
    _place: OwnedSemaphorePermit,
}

impl Writer {
    pub(super) fn new(center: Weak<Center>, folder: &Path, store: Store, books: Books, plant: Plant) -> Self {
        Self {
            center,
            folder: folder.to_owned(),
            open: Some((store, books)),
            durability: if plant == Plant::AcknowledgeUnwritten {
                Durability::None
            } else {
                Durability::Immediate
            },
        }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            let Some(center) = self.center.upgrade() else {
                return;
            };
            self.work(&center, group.drain(..));
        }
    }

    fn work(&mut self, center: &Center, jobs: impl Iterator<Item = Job>) {
        let (store, mut books) = match self.open(center) {
            Ok(open) => open,
            Err(error) => {
                center.report.store_failed(&error);
                return jobs.for_each(|job| job.work.refuse(&error));
            }
        };
        let (mut writes, mut made, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            match job.work {
                Work::Order { order, reply } => {
                    let result = books.apply(order, &center.limits, wall::now_ms(), &mut writes);
                    made.push(Made {
                        reply,
                        result,
                        _place: job.place,
                    });
                }
                // Answered from what is on disk, so not before these orders are.
                question => asked.push(Job {
                    work: question,
                    ..job
                }),
            }
        }
        if !writes.is_empty()
            && let Err(error) = store.commit(&writes, self.durability)
        {
            center.report.store_failed(&error);
            for one in made {
                // A refusal too may rest on an order of this group that did not happen.
                let _ = one.reply.send(Err(Refusal::Store(error.to_string())));
            }
            for question in asked {
                question.work.refuse(&error);
            }
            drop((store, books));
            // Where that fails too it is tried again with what is asked next, and whoever asks is told.
            match self.open(center) {
                Ok(open) => self.open = Some(open),
                Err(error) => log::error(format_args!("{error}; trying again with what is asked next")),
            }
            return;
        }
        center.show(writes);
        for one in made {
            match &one.result {
                Ok(_) => center.report.changes.inc(),
                Err(_) => center.report.refused.inc(),
            };
            // Whoever went away in the meantime is not told.
            let _ = one.reply.send(one.result);
        }
        for question in asked {
            question.work.answer(&store, &books);
        }
        self.open = Some((store, books));
    }

    /// The store and the books made from it. After a write that failed it finds out what is on disk, which may have all of that
    /// write, and shows that. Until it is found out readers keep what they saw, which is on disk in any case.
    fn open(&mut self, center: &Center) -> Result<(Store, Books), StoreError> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let store = Store::open(&self.folder)?;
        let books = Books::new(store.load()?);
        center.show_all(&books);
        Ok((store, books))
    }
}

impl Work {
    /// Answers a question; an order is none.
    fn answer(self, store: &Store, books: &Books) {
        match self {
            Self::Page {
                key,
                page,
                size,
                reply,
            } => drop(reply.send(books.page(&key, page, size))),
            Self::Change { nid, reply } => drop(reply.send(detail(store, books.change(nid)))),
            Self::Previous { id, reply } => drop(reply.send(detail(store, books.newest_of(id)))),
            Self::Order { .. } => {}
        }
    }

    fn refuse(self, error: &StoreError) {
        let refusal = Refusal::Store(error.to_string());
        match self {
            Self::Order { reply, .. } => drop(reply.send(Err(refusal))),
            Self::Change { reply, .. } | Self::Previous { reply, .. } => drop(reply.send(Err(refusal))),
            // Its end is the answer.
            Self::Page { reply, .. } => drop(reply),
        }
    }
}

fn detail(store: &Store, change: Option<Change>) -> Detail {
    let Some(change) = change else {
        return Ok(None);
    };
    match store.content(change.nid) {
        Ok(content) => Ok(content.map(|content| (change, content))),
        Err(error) => Err(Refusal::Store(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use squall_service_kit::Telemetry;
    use std::sync::Arc;

    use super::*;
    use crate::center::{Found, Limits};
    use crate::record::Draft;
    use crate::report::Report;

    /// What a write leaves on disk that failed only after it was there.
    fn written_unseen(folder: &Path, key: &ConfigKey) {
        let store = Store::open(folder).unwrap();
        let mut books = Books::new(store.load().unwrap());
        let order = Order::Publish {
            draft: Draft::new(key.clone(), "1", "text"),
            if_md5: None,
            source_ip: String::new(),
        };
        let mut writes = Vec::new();
        books.apply(order, &Limits::default(), 0, &mut writes).unwrap();
        store.commit(&writes, Durability::Immediate).unwrap();
    }

    #[test]
    fn a_store_that_could_be_opened_again_only_later_is_shown_then() {
        let folder = tempfile::tempdir().unwrap();
        let key = ConfigKey::new("a", "G", "").unwrap();
        written_unseen(folder.path(), &key);
        let report = Arc::new(Report::new(&mut Telemetry::new()));
        let (center, mut jobs) = Center::of(&Books::default(), Limits::default(), report);
        let mut place = center.watchers().enter([key.clone()]).unwrap();
        let mut writer = Writer {
            center: Arc::downgrade(&center),
            folder: folder.path().to_owned(),
            open: None,
            durability: Durability::Immediate,
        };
        let (reply, _answer) = oneshot::channel();
        center
            .send(&center.questions, Work::Change { nid: 1, reply })
            .unwrap();
        writer.work(&center, jobs.try_recv().into_iter());
        assert!(matches!(center.get(&key), Found::Config(config) if &*config.content == "1"));
        let told = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(told.block_on(place.changed()).key, key);
    }
}
