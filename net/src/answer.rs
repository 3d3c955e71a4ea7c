//! One thread's way to answers: the settings of the moment, the pods, and what it counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use poddns_core::{Config, Outcome, Request, Transport, respond};
use tokio::sync::watch;

use crate::config::Settings;
use crate::counters::{Counters, Dropped};
use crate::pods::SharedPods;

/// What all threads answer from; replaced as a whole when the configuration is read again.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) settings: Arc<Settings>,
    pub(crate) pods: SharedPods,
}

/// Answers queries of one thread.
#[derive(Debug)]
pub(crate) struct Answerer {
    updates: watch::Receiver<Current>,
    current: Current,
    counters: Arc<Counters>,
    transport: Transport,
}

impl Answerer {
    pub(crate) fn new(
        mut updates: watch::Receiver<Current>,
        counters: Arc<Counters>,
        transport: Transport,
    ) -> Self {
        let current = updates.borrow_and_update().clone();
        Self { updates, current, counters, transport }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The settings of the moment.
    pub(crate) fn refresh(&mut self) -> &Settings {
        // One atomic load; the lock behind `borrow_and_update` is taken only after a reload.
        if self.updates.has_changed().unwrap_or(false) {
            self.current = self.updates.borrow_and_update().clone();
        }
        &self.current.settings
    }

    /// What a batch of queries is answered with: one configuration and one reading of the clock.
    pub(crate) fn batch(&mut self) -> Batch<'_> {
        self.refresh();
        Batch {
            config: self.current.settings.answers(),
            pods: &self.current.pods,
            counters: &self.counters,
            transport: self.transport,
            now: unix_time(),
        }
    }
}

/// The answers to one batch.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    config: Config<'a>,
    pods: &'a SharedPods,
    counters: &'a Counters,
    transport: Transport,
    now: u32,
}

impl Batch<'_> {
    /// Writes the response to `query` into `out` and returns its length; `None` if there must be none.
    pub(crate) fn answer(&self, query: &[u8], peer: SocketAddr, out: &mut [u8]) -> Option<usize> {
        self.counters.queries.increment();
        if peer.port() == 0 {
            self.counters.dropped(Dropped::SourcePortZero);
            return None;
        }
        let request = Request::new(self.transport, peer.ip(), self.now);
        match respond(&self.config, &*self.pods.0, query, &request, out) {
            Outcome::Reply(reply) => {
                self.counters.reply(&reply);
                Some(reply.len)
            }
            Outcome::Drop(reason) => {
                self.counters.dropped(Dropped::By(reason));
                None
            }
        }
    }
}

/// Unix seconds modulo 2^32; 0 if the clock stands before 1970.
fn unix_time() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use poddns_core::NoPods;

    use super::*;

    #[test]
    fn nothing_is_sent_to_port_zero() {
        let pods = SharedPods(Arc::new(NoPods));
        let current = watch::Sender::new(Current { settings: Arc::default(), pods });
        let counters = Arc::new(Counters::default());
        let mut answerer = Answerer::new(current.subscribe(), Arc::clone(&counters), Transport::Udp);
        let query = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        let mut out = [0; 512];
        let batch = answerer.batch();
        assert_eq!(batch.answer(&query, ([127, 0, 0, 1], 0).into(), &mut out), None);
        assert!(batch.answer(&query, ([127, 0, 0, 1], 1).into(), &mut out).is_some());
        assert_eq!(counters.drops(Dropped::SourcePortZero), 1);
        assert_eq!(counters.queries.get(), 2);
    }
}
