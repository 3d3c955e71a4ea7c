//! Liveness of all threads, by their replies to pings.

use tokio::sync::oneshot;

/// Pings of all threads, one each, to be answered before the next heartbeat.
#[derive(Debug, Default)]
pub(crate) struct ThreadPings {
    pending: Vec<oneshot::Receiver<()>>,
}

impl ThreadPings {
    /// Returns true if every thread has answered the last ping, and sends the next one by `ping`. Otherwise waits for
    /// the remaining answers.
    pub(crate) fn beats(&mut self, ping: impl FnOnce() -> Vec<oneshot::Receiver<()>>) -> bool {
        // An answer can be received once only, so its receiver is removed.
        self.pending.retain_mut(|answer| answer.try_recv().is_err());
        let all = self.pending.is_empty();
        if all {
            self.pending = ping();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_thread_is_missed_until_it_answers() {
        let mut pulse = ThreadPings::default();
        let (one, first) = oneshot::channel();
        let (two, second) = oneshot::channel();
        assert!(pulse.beats(|| vec![first, second]), "nobody has been asked yet");
        one.send(()).unwrap();
        let nobody = || unreachable!("nobody is asked again before all have answered");
        assert!(!pulse.beats(nobody));
        assert!(!pulse.beats(nobody));
        two.send(()).unwrap();
        let (dead, third) = oneshot::channel();
        assert!(pulse.beats(|| vec![third]));
        drop(dead);
        assert!(!pulse.beats(nobody), "a thread that has gone does not answer either");
    }
}
