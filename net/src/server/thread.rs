//! Threads with their own runtime, and notification of panics.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, WeakUnboundedSender};
use tokio::sync::watch;
use tokio::task;

/// Reports the first panic of the threads and tasks of a server.
#[derive(Clone, Debug)]
pub(crate) struct PanicNotifier(watch::Sender<Option<String>>);

/// Name of the first thread or task that panicked, as soon as one has.
pub(crate) type PanicReceiver = watch::Receiver<Option<String>>;

impl PanicNotifier {
    /// Returns a notifier and its receiver.
    pub(crate) fn new() -> (Self, PanicReceiver) {
        let (sender, panics) = watch::channel(None);
        (Self(sender), panics)
    }

    /// Returns a guard that reports a panic of the code that owns it.
    fn guard(&self, name: String) -> PanicGuard {
        PanicGuard { name, notifier: self.clone() }
    }

    /// Spawns a task on the current thread whose panic is reported under this name.
    pub(crate) fn spawn_local(
        &self,
        name: &str,
        work: impl Future<Output = ()> + 'static,
    ) -> task::JoinHandle<()> {
        let guard = self.guard(name.to_owned());
        task::spawn_local(async move {
            let _guard = guard;
            work.await;
        })
    }
}

/// Guard that reports a panic if it is dropped during unwinding.
#[derive(Debug)]
struct PanicGuard {
    name: String,
    notifier: PanicNotifier,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            let name = std::mem::take(&mut self.name);
            self.notifier.0.send_if_modified(|first| {
                let is_first = first.is_none();
                if is_first {
                    *first = Some(name);
                }
                is_first
            });
        }
    }
}

/// Handle of a thread that executes commands. Dropping it closes their channel: the thread finishes its work and ends.
#[derive(Debug)]
pub(crate) struct Thread<C> {
    commands: UnboundedSender<C>,
    handle: JoinHandle<()>,
}

impl<C: Send + 'static> Thread<C> {
    /// Starts a thread that runs `work`, which must end when its receiver is closed. A panic is reported to `panics`
    /// under the thread's name. Blocking calls that are still in progress at the end are abandoned.
    pub(crate) fn spawn<F: Future<Output = ()>>(
        name: String,
        panics: &PanicNotifier,
        work: impl FnOnce(UnboundedReceiver<C>) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let (sender, started) = std::sync::mpsc::channel();
        let guard = panics.guard(name.clone());
        let handle = thread::Builder::new().name(name).spawn(move || {
            let _guard = guard;
            // A local runtime and its tasks are bound to this thread, so waking them takes no lock.
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                // `spawn` returns the error.
                Err(error) => return drop(sender.send(Err(error))),
            };
            drop(sender.send(Ok(())));
            runtime.block_on(work(received));
            runtime.shutdown_background();
        })?;
        // The thread sends exactly one result.
        started.recv().map_err(io::Error::other)??;
        Ok(Self { commands, handle })
    }

    /// Sends a command. It is lost if the thread has panicked, which has been reported.
    pub(crate) fn send(&self, command: C) {
        let _ = self.commands.send(command);
    }

    /// Returns a sender of commands that does not keep the thread running.
    pub(crate) fn sender(&self) -> WeakUnboundedSender<C> {
        self.commands.downgrade()
    }

    /// Closes the command channel, so that the thread ends; returns the handle to join it.
    pub(crate) fn finish(self) -> JoinHandle<()> {
        self.handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_of_threads_and_tasks_are_reported() {
        let (notifier, mut panics) = PanicNotifier::new();
        let tasks = notifier.clone();
        let work = |mut commands: UnboundedReceiver<()>| async move {
            let task = tasks.spawn_local("task", async { panic!("injected") });
            assert!(task.await.unwrap_err().is_panic());
            let ended = tasks.spawn_local("other", async {});
            ended.await.unwrap();
            commands.recv().await;
            panic!("injected too");
        };
        let thread = Thread::spawn("thread".to_owned(), &notifier, work).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { panics.wait_for(Option::is_some).await.unwrap() });
        assert_eq!(panics.borrow_and_update().as_deref(), Some("task"));
        thread.send(());
        thread.finish().join().unwrap_err();
        assert_eq!(panics.borrow().as_deref(), Some("task"), "the first is kept");
    }

    #[test]
    fn blocking_call_is_abandoned_at_the_end() {
        let (notifier, _panics) = PanicNotifier::new();
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let work = |mut commands: UnboundedReceiver<()>| async move {
            let blocking = task::spawn_blocking(move || blocked.recv());
            commands.recv().await;
            drop(blocking);
        };
        let thread = Thread::spawn("thread".to_owned(), &notifier, work).unwrap();
        // Never returns if the thread waits for the call.
        thread.finish().join().unwrap();
        drop(release);
    }
}
