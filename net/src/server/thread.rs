//! A thread with a runtime of its own, which obeys orders until there can be no more.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

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
        // Here, so that failing is the caller's to handle.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (orders, received) = mpsc::unbounded_channel();
        let obituary = Obituary { name: name.clone(), tell: deaths.clone() };
        let handle = thread::Builder::new().name(name).spawn(move || {
            let _obituary = obituary;
            LocalSet::new().block_on(&runtime, work(received));
        })?;
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
