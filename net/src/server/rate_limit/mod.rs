//! Response rate limiting: a server that answers forged queries sends its responses to victims that never asked.
//!
//! Each client network has a budget of responses over UDP. Beyond it, every n-th response is sent truncated, so that a
//! real client asks again over TCP, which proves its address; the others are dropped. Clients that have proven their
//! address are never limited: over TCP, or by a valid DNS cookie. Networks are exempt from which forged queries hardly
//! arrive, or in which they would be the operator's own problem.
//!
//! The limit of negative answers is another one, with the same tables: a client network beyond its budget of NXDOMAIN gets
//! no answers at all until some of it is refilled, over TCP and with a cookie as well, since what it learns is the same.
//!
//! # Memory and time
//!
//! Each thread has a table of its own, of a size that is fixed when it is made: no lock and no allocation per query. A
//! client network whose queries reach all threads therefore gets up to that many times its budget.
//!
//! The table finds a network by a hash with a secret key, so no client can choose addresses that collide. Networks that do
//! collide evict each other: the one nearest to a full budget goes, and only the record of its use is lost. So when the
//! table is too small, some networks get more than their budget, and none less.

mod exempt;
mod limiter;
mod mask;
mod table;
#[cfg(test)]
mod tests;
mod thread_limiter;

pub use self::limiter::RateLimit;

pub(crate) use self::exempt::private;
pub(crate) use self::limiter::LimitAction;
pub(crate) use self::thread_limiter::ThreadLimiter;
