//! A thread that answers over UDP, with one socket for each address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinHandle};
use tokio::time;
use tracing::Span;

use super::{BatchResponder, DatagramBatch, Socket, serve};
use crate::server::answer::{Answerer, ResponseInputs};
use crate::server::counters::Counters;
use crate::server::query_log::QueryLogger;
use crate::server::rate_limit::ThreadLimiter;
use crate::server::supervise::supervise;

/// Maximum time to drain the sockets when the worker ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

impl BatchResponder for Answerer {
    fn answer(&mut self, batch: &mut impl DatagramBatch) {
        let answers = self.batch();
        answers.prefetch(batch.queries());
        if answers.is_logged() {
            batch.answer(|query, out| answers.answer_and_log(query, out));
        } else {
            batch.answer(|query, out| answers.answer(query, out));
        }
        answers.not_unicast(batch.not_unicast());
    }

    fn is_measured(&self, queries: usize) -> bool {
        let counters = self.counters();
        counters.latency.is_due(counters.queries.get(), queries)
    }

    fn counters(&self) -> &Counters {
        self.counters()
    }
}

/// Commands to a worker.
#[derive(Debug)]
pub(crate) enum UdpCommand {
    /// Answer on this socket; `kept_by_systemd` is true if systemd holds it too.
    Listen { address: SocketAddr, socket: std::net::UdpSocket, kept_by_systemd: bool, span: Span },
    /// Stop answering on this address, after the queries that have arrived before.
    Forget(SocketAddr),
    /// Reply, to show that the thread is not stuck.
    Ping(oneshot::Sender<()>),
}

/// Inputs of a worker.
#[derive(Debug)]
pub(crate) struct WorkerInputs {
    pub(crate) updates: watch::Receiver<ResponseInputs>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) query_log: Arc<QueryLogger>,
    /// Hash key of the tables of the thread's limiters.
    pub(crate) key: [u8; 16],
    /// Number of the thread, from 0.
    pub(crate) number: usize,
}

/// Serves until the sender of `commands` is dropped, then answers the queries that have arrived before.
pub(crate) async fn work(sources: WorkerInputs, mut commands: mpsc::UnboundedReceiver<UdpCommand>) {
    let WorkerInputs { updates, counters, query_log, key, number } = sources;
    let (response_limiter, negative_limiter) =
        (Rc::new(ThreadLimiter::new(key)), Rc::new(ThreadLimiter::new(key)));
    let mut sockets: HashMap<SocketAddr, (oneshot::Sender<()>, JoinHandle<()>)> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            UdpCommand::Listen { address, socket, kept_by_systemd, span } => {
                match Socket::new(socket, kept_by_systemd, span.clone()) {
                    Ok(socket) => {
                        let (stop, mut stopped) = oneshot::channel();
                        let (updates, counters) = (updates.clone(), Arc::clone(&counters));
                        let (response_limiter, negative_limiter) =
                            (Rc::clone(&response_limiter), Rc::clone(&negative_limiter));
                        let answerer =
                            Answerer::udp(updates, counters, response_limiter, negative_limiter, number);
                        let mut answerer = answerer.with_query_log(Arc::clone(&query_log));
                        let counters = Arc::clone(answerer.counters());
                        let task = task::spawn_local(async move {
                            supervise("UDP socket", &counters.panics, async || {
                                serve(&socket, &mut answerer, &mut stopped).await;
                            })
                            .await;
                        });
                        sockets.insert(address, (stop, task));
                    }
                    Err(error) => tracing::error!(parent: &span, %error, "cannot serve over UDP"),
                }
            }
            UdpCommand::Forget(address) => drop(sockets.remove(&address)),
            // Fails only if the caller no longer waits.
            UdpCommand::Ping(pong) => drop(pong.send(())),
        }
    }
    // Stops all sockets by dropping the senders, then waits for each.
    let tasks: Vec<_> = sockets.into_values().map(|(_, task)| task).collect();
    let end = time::Instant::now() + DRAIN_TIMEOUT;
    for task in tasks {
        // A task that panicked or cannot send is abandoned.
        let _ = time::timeout_at(end, task).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Mutex;

    use poddns_core::{Label, Mode, PodLookup, Unknown};

    use super::*;
    use crate::server::pods::{PodsReport, ServedPods, SharedPods};
    use crate::server::settings::Settings;
    use crate::sys::Datagram;

    /// An index that records prefetches and look-ups.
    #[derive(Default)]
    struct Diary(Mutex<Vec<(&'static str, IpAddr)>>);

    impl PodLookup for Diary {
        fn namespace_exists(&self, _: &Label) -> Result<bool, Unknown> {
            Ok(true)
        }
        fn contains(&self, _: &Label, address: IpAddr) -> Result<bool, Unknown> {
            self.0.lock().unwrap().push(("looked up", address));
            Ok(true)
        }
        fn prefetch(&self, addresses: &[IpAddr]) {
            self.0.lock().unwrap().extend(addresses.iter().map(|&address| ("prefetched", address)));
        }
    }

    impl ServedPods for Diary {
        fn report(&self) -> PodsReport {
            PodsReport::default()
        }
    }

    struct Queries(Vec<Vec<u8>>);

    impl DatagramBatch for Queries {
        fn queries(&self) -> impl Iterator<Item = &[u8]> {
            self.0.iter().map(Vec::as_slice)
        }
        fn answer(&mut self, mut each: impl FnMut(Datagram<'_>, &mut [u8]) -> Option<usize>) {
            for query in &self.0 {
                let query = Datagram { octets: query, peer: ([127, 0, 0, 1], 1).into(), cut: false };
                each(query, &mut [0; 512]).unwrap();
            }
        }
        fn replies(&self) -> usize {
            0
        }
    }

    #[test]
    fn batch_is_prefetched_before_lookups() {
        let mut settings = Settings::default();
        settings.mode = Mode::Verified;
        let pods = Arc::new(Diary::default());
        let shared = SharedPods(Arc::clone(&pods) as Arc<dyn ServedPods>);
        let current = ResponseInputs {
            settings: Arc::new(settings),
            pods: shared,
            cookies: None,
            audit: None,
            transfers: None,
        };
        let (_updates, updates) = watch::channel(current);
        let (response_limiter, negative_limiter) = (ThreadLimiter::new([0; 16]), ThreadLimiter::new([0; 16]));
        let mut answerer =
            Answerer::udp(updates, Arc::default(), Rc::new(response_limiter), Rc::new(negative_limiter), 0);
        let query = |label: &[u8]| {
            let header = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            [&header, label, b"\x01a\x03pod\x07cluster\x05local\0\0\x01\0\x01"].concat()
        };
        answerer.answer(&mut Queries(vec![query(b"\x0810-0-0-1"), query(b"\x07fd00--2")]));
        let addresses: [IpAddr; 2] = [[10, 0, 0, 1].into(), [0xfd00, 0, 0, 0, 0, 0, 0, 2].into()];
        let expected =
            ["prefetched", "looked up"].map(|what| addresses.map(|address| (what, address))).concat();
        assert_eq!(*pods.0.lock().unwrap(), expected);
    }
}
