//! NVMe-oF host: pure queues, and polled, blocking and asynchronous faces over them.
//!
//! Read first: [`queue`] (one queue pair, pure), then [`host`] (a controller: bring-up, recovery),
//! then [`session`] (blocking). What a broken connection means to callers: [`contract`].

pub mod any;
pub mod asynchronous;
pub mod commands;
pub mod contract;
pub mod edge;
pub mod fused;
pub mod host;
pub mod identity;
pub mod io;
pub mod queue;
pub mod session;
pub mod shared;
pub mod spec;
pub mod udp;
pub mod wait;

pub use asynchronous::AsyncNamespace;
pub use auth::{HostAuthError, HostKeys, Secret};
pub use contract::Timers;
pub use host::{Completion, ControllerInfo, Host, HostError, HostOptions, HostState};
pub use io::{BadIo, IoOp, NamespaceInfo};
pub use queue::{Command, Data};
pub use session::{Session, SessionError};
pub use spec::{TargetSpec, WireMode};
pub use wait::{PollMode, Waiter};
