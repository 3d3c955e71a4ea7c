//! Response rate limiting. Responses to queries with a forged source address reach victims that sent no query.
//!
//! Each client network has a budget of responses over UDP. Beyond it, every n-th response is sent truncated, so that a
//! genuine client repeats the query over TCP, which proves its address; the others are dropped. Clients that have
//! proven their address, by TCP or by a valid DNS cookie, are never limited. Networks are exempt if forged queries with
//! such sources are unlikely, or would only affect the operator's own network.
//!
//! The limit of negative answers is separate, with the same kind of tables: a client network that has spent its budget
//! of NXDOMAIN receives no answers until part of the budget is refilled. It also applies over TCP and with a cookie,
//! since the answers reveal the same.
//!
//! # Memory and time
//!
//! Each thread has its own table of fixed size: a query takes no lock and allocates nothing. A client network whose
//! queries reach all threads therefore has up to that many times its budget.
//!
//! The table is indexed by a hash with a secret key, so no client can choose addresses that collide. If too many
//! networks collide, the one nearest to a full budget is evicted, which loses only the record of its use: if the table
//! is too small, some networks have more than their budget, and none has less.

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
