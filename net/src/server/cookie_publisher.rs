//! Updates of the secrets of DNS cookies while the server runs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::time;

use super::cookies::{CHECK_INTERVAL, CookieSource, SecretStore};
use super::state::ServerState;

/// Publishes new secrets to the threads.
pub(crate) struct CookiePublisher {
    state: Arc<ServerState>,
    store: RefCell<SecretStore>,
}

impl CookiePublisher {
    pub(crate) fn new(store: SecretStore, state: Arc<ServerState>) -> Rc<Self> {
        Rc::new(Self { state, store: RefCell::new(store) })
    }

    /// Returns true if the secrets of this source must be opened.
    pub(crate) fn changes_with(&self, source: &CookieSource) -> bool {
        self.store.borrow().changes_with(source)
    }

    /// Replaces the secrets and their source.
    pub(crate) fn replace(&self, store: SecretStore) {
        self.store.replace(store);
        self.publish();
    }

    /// Keeps the secrets up to date; never returns.
    pub(crate) async fn update(&self) {
        loop {
            time::sleep(CHECK_INTERVAL).await;
            if self.store.borrow_mut().update(Instant::now()) {
                self.publish();
            }
        }
    }

    fn publish(&self) {
        let secrets = self.store.borrow().secrets().cloned();
        self.state.current.send_modify(|current| current.cookies = secrets);
    }
}
