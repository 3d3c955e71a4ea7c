//! The secrets of cookies, looked after while the server runs.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use tokio::time;

use super::state::State;
use crate::server::cookies::{CookieError, CookieSource, Keeper, LOOK};

/// Gives the threads new secrets when there are any.
pub(crate) struct Cookies {
    state: Arc<State>,
    keeper: RefCell<Keeper>,
}

impl Cookies {
    pub(crate) fn new(keeper: Keeper, state: Arc<State>) -> Rc<Self> {
        Rc::new(Self { state, keeper: RefCell::new(keeper) })
    }

    /// What would be kept after the configuration has been read again.
    pub(crate) fn reopen(&self, source: &CookieSource) -> Result<Keeper, CookieError> {
        self.keeper.borrow().reopen(source, Instant::now())
    }

    /// Keeps that instead.
    pub(crate) fn replace(&self, keeper: Keeper) {
        self.keeper.replace(keeper);
        self.publish();
    }

    /// Looks after the secrets for as long as somebody else holds them.
    pub(crate) async fn look(this: Weak<Self>) {
        loop {
            time::sleep(LOOK).await;
            let Some(this) = this.upgrade() else { return };
            if this.keeper.borrow_mut().look(Instant::now()) {
                this.publish();
            }
        }
    }

    fn publish(&self) {
        let secrets = self.keeper.borrow().secrets().cloned();
        self.state.current.send_modify(|current| current.cookies = secrets);
    }
}
