//! Liveness of all threads, by their replies.

use tokio::sync::oneshot;

/// Questions to the threads, one each, that are to be answered by the next heartbeat.
#[derive(Debug, Default)]
pub(crate) struct ThreadPings {
    asked: Vec<oneshot::Receiver<()>>,
}

impl ThreadPings {
    /// Returns whether every thread has answered the last request. If so, `ask` sends another one; if
    /// not, the same question stays open.
    pub(crate) fn beats(&mut self, ask: impl FnOnce() -> Vec<oneshot::Receiver<()>>) -> bool {
        // An answer can be taken once.
        self.asked.retain_mut(|answer| answer.try_recv().is_err());
        let all = self.asked.is_empty();
        if all {
            self.asked = ask();
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
