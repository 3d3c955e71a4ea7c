//! A thread with a runtime of its own, which obeys orders until there can be no more.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

/// Tells of a thread that ends by a panic.
#[derive(Debug)]
struct Obituary {
    name: String,
    tell: mpsc::UnboundedSender<String>,
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if thread::panicking() {
            // Fails only when nobody is left to care.
            let _ = self.tell.send(std::mem::take(&mut self.name));
        }
    }
}

/// A running thread. Once dropped it gets no more orders, finishes what it has begun, and ends.
#[derive(Debug)]
pub(crate) struct Thread<O> {
    orders: mpsc::UnboundedSender<O>,
    handle: JoinHandle<()>,
}

impl<O: Send + 'static> Thread<O> {
    /// Starts a thread that runs `work` until it ends, which it does when there can be no more orders. If it
    /// ends by a panic, its name is sent to `deaths`.
    pub(crate) fn spawn<F: Future<Output = ()>>(
        name: String,
        deaths: &mpsc::UnboundedSender<String>,
        work: impl FnOnce(mpsc::UnboundedReceiver<O>) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, received) = mpsc::unbounded_channel();
        let (tell, started) = std::sync::mpsc::channel();
        let obituary = Obituary { name: name.clone(), tell: deaths.clone() };
        let handle = thread::Builder::new().name(name).spawn(move || {
            let _obituary = obituary;
            // Such a runtime belongs to its thread, and so do its tasks: no lock is taken to wake them.
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                // Whoever waits for it handles that.
                Err(error) => return drop(tell.send(Err(error))),
            };
            drop(tell.send(Ok(())));
            runtime.block_on(work(received));
        })?;
        // It answers, one way or the other.
        started.recv().map_err(io::Error::other)??;
        Ok(Self { orders, handle })
    }

    /// Gives an order. One to a thread that has died is lost, which `deaths` has told of.
    pub(crate) fn order(&self, order: O) {
        let _ = self.orders.send(order);
    }

    /// Gives no more orders, so that the thread ends; the handle is to wait for that.
    pub(crate) fn finish(self) -> JoinHandle<()> {
        self.handle
    }
}
