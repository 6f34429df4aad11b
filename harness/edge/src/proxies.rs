//! The threads that move bytes, and where proxies are made. Everything dies with its handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use squall_model::seed::Seed;

use crate::datagram::{DatagramProxy, DatagramSpec};
use crate::error::EdgeError;
use crate::poller::Poller;
use crate::proxy::Proxy;
use crate::spec::{Options, ProxySpec};
use crate::worker::{Order, Reach, Worker};

/// How handles reach the threads.
#[derive(Debug)]
pub(crate) struct Threads {
    reaches: Vec<Reach>,
    next_id: AtomicU32,
}

impl Threads {
    /// A number for a proxy that no other has.
    pub(crate) fn next_id(&self) -> u32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives every thread an order and waits until each has followed it.
    pub(crate) fn all(&self, order: impl Fn(Sender<()>) -> Order) -> Result<(), EdgeError> {
        let (done, dones) = crossbeam_channel::bounded(self.reaches.len());
        for reach in &self.reaches {
            reach.give(order(done.clone()));
        }
        drop(done);
        for _ in &self.reaches {
            dones.recv().map_err(|_| EdgeError::Ended)?;
        }
        Ok(())
    }

    /// Gives the thread that accepts for a proxy an order and waits until it has followed it.
    pub(crate) fn acceptor(&self, id: u32, order: impl FnOnce(Sender<()>) -> Order) -> Result<(), EdgeError> {
        let (done, dones) = crossbeam_channel::bounded(1);
        self.reaches[id as usize % self.reaches.len()].give(order(done));
        dones.recv().map_err(|_| EdgeError::Ended)
    }

    /// Asks every thread something.
    pub(crate) fn ask<T>(&self, order: impl Fn(Sender<T>) -> Order) -> Result<Vec<T>, EdgeError> {
        let (to, answers) = crossbeam_channel::bounded(self.reaches.len());
        for reach in &self.reaches {
            reach.give(order(to.clone()));
        }
        drop(to);
        let answer = |_| answers.recv().map_err(|_| EdgeError::Ended);
        self.reaches.iter().map(answer).collect()
    }
}

/// The threads. Dropping it closes every proxy on them and joins the threads; proxies' handles then answer
/// [`EdgeError::Ended`].
#[derive(Debug)]
pub struct Proxies {
    threads: Arc<Threads>,
    running: Vec<JoinHandle<()>>,
}

impl Proxies {
    /// Starts the threads.
    pub fn start(options: Options) -> Result<Proxies, EdgeError> {
        let mut pollers = Vec::new();
        let mut reaches = Vec::new();
        for _ in 0..options.threads.max(1) {
            let poller = Poller::new().map_err(EdgeError::Start)?;
            let (orders, inbox) = crossbeam_channel::unbounded();
            reaches.push(Reach {
                orders,
                waker: poller.waker(),
            });
            pollers.push((poller, inbox));
        }
        let mut proxies = Proxies {
            threads: Arc::new(Threads {
                reaches: reaches.clone(),
                next_id: AtomicU32::new(0),
            }),
            running: Vec::new(),
        };
        for (at, (poller, inbox)) in pollers.into_iter().enumerate() {
            let worker = Worker::new(poller, inbox, reaches.clone(), at, options.held_bytes_max.max(1));
            let thread = std::thread::Builder::new()
                .name(format!("squall-edge-{at}"))
                .spawn(move || worker.run())
                .map_err(EdgeError::Start)?;
            proxies.running.push(thread);
        }
        Ok(proxies)
    }

    /// Makes a proxy for streams. It draws only from children of `seed`.
    pub fn stream(&self, spec: ProxySpec, seed: Seed) -> Result<Proxy, EdgeError> {
        Proxy::new(Arc::clone(&self.threads), spec, seed)
    }

    /// Makes a proxy for datagrams. It draws only from children of `seed`.
    pub fn datagram(&self, spec: DatagramSpec, seed: Seed) -> Result<DatagramProxy, EdgeError> {
        DatagramProxy::new(Arc::clone(&self.threads), spec, seed)
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        for reach in &self.threads.reaches {
            reach.give(Order::Stop);
        }
        for thread in self.running.drain(..) {
            // One that panicked has told so already.
            let _ = thread.join();
        }
    }
}
