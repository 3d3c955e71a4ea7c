//! The thread that reads the cluster and serves the admin endpoints, so that neither delays an answer.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use poddns_core::Freshness;
use poddns_watch::FeedError;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::{task, time};

use super::error::StartError;
use super::feed::{OpenFeed, Plan};
use super::limited::check_after_lists;
use super::secrets::Cookies;
use super::settings::Settings;
use super::snapshots::Saver;
use super::state::State;
use crate::server::admin;
use crate::server::cookies::Keeper;

/// How often a new feed is looked at while it reads its first list.
const TICK: Duration = Duration::from_millis(20);

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Open the first feed, for these settings.
    Open(Arc<Settings>, mpsc::Sender<Result<OpenFeed, FeedError>>),
    /// From now on replace what `state` has: the feed too, unless it is the caller's own, and the secrets of
    /// cookies.
    Adopt { feed: Box<OpenFeed>, own: bool, cookies: Keeper, state: Arc<State> },
    /// Serve the admin endpoints.
    Admin(TcpListener, Arc<State>),
    /// Answer by these settings: at once, or if that takes another feed as soon as that is complete.
    Replace(Arc<Settings>, mpsc::Sender<Result<(), StartError>>),
    /// Say that the thread is alive.
    Ping(oneshot::Sender<()>),
}

/// Obeys until there can be no more orders.
pub(crate) async fn work(mut orders: UnboundedReceiver<Order>) {
    let mut served: Option<(Rc<Feeds>, Rc<Cookies>)> = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Open(settings, done) => {
                // Fails only if the one who asked has gone.
                let snapshot = settings.snapshot.as_ref().map(|snapshot| snapshot.path.as_path());
                let _ = done.send(OpenFeed::open(Plan::of(&settings), snapshot).await);
            }
            Order::Adopt { feed, own, cookies, state } => {
                let cookies = Cookies::new(cookies, Arc::clone(&state));
                task::spawn_local(Cookies::look(Rc::downgrade(&cookies)));
                task::spawn_local(check_after_lists(Arc::downgrade(&state)));
                served = Some((Rc::new(Feeds::new(*feed, own, state)), cookies));
            }
            Order::Admin(listener, state) => {
                task::spawn_local(admin::serve(listener, state));
            }
            Order::Replace(settings, done) => {
                if let Some((feeds, cookies)) = &served {
                    let _ = done.send(replace(feeds, cookies, settings).await);
                }
            }
            Order::Ping(pong) => drop(pong.send(())),
        }
    }
    if let Some((feeds, _)) = served {
        feeds.end().await;
    }
}

/// Goes over to other settings, or fails and changes nothing.
async fn replace(feeds: &Rc<Feeds>, cookies: &Cookies, settings: Arc<Settings>) -> Result<(), StartError> {
    let keeper = cookies.reopen(&settings.cookies)?;
    feeds.replace(settings).await?;
    cookies.replace(keeper);
    Ok(())
}

/// The feed that is answered from, and the one that will be.
struct Feeds {
    state: Arc<State>,
    /// Whether the pods are the caller's own, and stay whatever the settings say.
    own: bool,
    serving: RefCell<OpenFeed>,
    /// The feed and settings of the last replacement, if they are not served yet.
    next: RefCell<Option<(OpenFeed, Arc<Settings>)>>,
    /// Keeps what is served for the next start.
    saver: RefCell<Option<Saver>>,
}

impl Feeds {
    fn new(feed: OpenFeed, own: bool, state: Arc<State>) -> Self {
        let settings = state.current().settings;
        let (serving, next, saver) = (RefCell::new(feed), RefCell::new(None), RefCell::new(None));
        let feeds = Self { state, own, serving, next, saver };
        feeds.save(&settings);
        feeds
    }

    /// Keeps what is served where the settings say, from now on.
    fn save(&self, settings: &Settings) {
        let serving = self.serving.borrow();
        let saver = serving.snapshots.as_ref().and_then(|snapshots| {
            snapshots.state.name(settings.snapshot.as_ref().map(|file| file.path.as_path()));
            let (recorder, state) = (snapshots.recorder.clone(), Arc::clone(&snapshots.state));
            Some(Saver::start(recorder, settings.snapshot.clone()?, state))
        });
        if let Some(before) = self.saver.replace(saver) {
            before.abandon();
        }
    }

    /// Keeps what is served for the last time.
    async fn end(&self) {
        let saver = self.saver.take();
        if let Some(saver) = saver {
            saver.finish().await;
        }
    }

    async fn replace(self: &Rc<Self>, settings: Arc<Settings>) -> Result<(), FeedError> {
        let plan = Plan::of(&settings);
        let next = self.next.borrow().as_ref().map(|(feed, _)| feed.clone());
        if let Some(next) = next.filter(|next| next.plan == plan) {
            // Still being read: it goes with the newest settings when it is complete.
            self.next.replace(Some((next, settings)));
            return Ok(());
        }
        let serving = self.serving.borrow().clone();
        if self.own || serving.plan == plan {
            self.forget_next();
            self.publish(&serving, &settings);
            return Ok(());
        }
        // What answers meanwhile is better than any snapshot.
        let opened = OpenFeed::open(plan, None).await?;
        self.forget_next();
        self.next.replace(Some((opened.clone(), settings)));
        if opened.pods.0.freshness() == Freshness::Unsynced {
            tracing::info!("reading pods anew; what is known so far answers until that is complete");
        }
        task::spawn_local(Rc::clone(self).complete(opened));
        Ok(())
    }

    /// Waits until the feed is complete and answers from it, unless it is superseded before.
    async fn complete(self: Rc<Self>, feed: OpenFeed) {
        while feed.pods.0.freshness() == Freshness::Unsynced {
            if feed.stop.is_cancelled() {
                return;
            }
            time::sleep(TICK).await;
        }
        if feed.stop.is_cancelled() {
            return;
        }
        if let Some((_, settings)) = self.next.take() {
            self.publish(&feed, &settings);
        }
    }

    fn forget_next(&self) {
        if let Some((feed, _)) = self.next.take() {
            feed.stop.cancel();
        }
    }

    fn publish(&self, feed: &OpenFeed, settings: &Arc<Settings>) {
        self.state.current.send_modify(|current| {
            current.settings = Arc::clone(settings);
            current.pods = feed.pods.clone();
        });
        let before = self.serving.replace(feed.clone());
        let other = !Arc::ptr_eq(&before.pods.0, &feed.pods.0);
        if other {
            before.stop.cancel();
        }
        let saved = self.saver.borrow().as_ref().map(|saver| saver.file.clone());
        if other || saved != settings.snapshot {
            self.save(settings);
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.forget_next();
        self.serving.borrow().stop.cancel();
    }
}
