//! The secrets of cookies, kept up to date while the server runs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::time;

use super::cookies::{CookieSource, Keeper, LOOK};
use super::state::State;

/// Publishes new secrets to the threads.
pub(crate) struct Cookies {
    state: Arc<State>,
    keeper: RefCell<Keeper>,
}

impl Cookies {
    pub(crate) fn new(keeper: Keeper, state: Arc<State>) -> Rc<Self> {
        Rc::new(Self { state, keeper: RefCell::new(keeper) })
    }

    /// Returns true if secrets must be opened anew for this source.
    pub(crate) fn changes_with(&self, source: &CookieSource) -> bool {
        self.keeper.borrow().changes_with(source)
    }

    /// Replaces the secrets, and what keeps them up to date.
    pub(crate) fn replace(&self, keeper: Keeper) {
        self.keeper.replace(keeper);
        self.publish();
    }

    /// Keeps the secrets up to date, for ever.
    pub(crate) async fn look(&self) {
        loop {
            time::sleep(LOOK).await;
            if self.keeper.borrow_mut().look(Instant::now()) {
                self.publish();
            }
        }
    }

    fn publish(&self) {
        let secrets = self.keeper.borrow().secrets().cloned();
        self.state.current.send_modify(|current| current.cookies = secrets);
    }
}
