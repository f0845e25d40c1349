//! A target in a thread of its own, as a host of another process would meet it.

use netstack::fabric::Fabric;
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, SpinBudget, TransportKind};

type Job<F> = Box<dyn FnOnce(&mut Reactor<F>) + Send>;

/// It serves until it is dropped: then it is gone without a goodbye.
pub(crate) struct Target<F: Fabric + 'static> {
    jobs: Option<Sender<Job<F>>>,
    thread: Option<JoinHandle<()>>,
}

impl<F: Fabric + 'static> Target<F> {
    /// Serves what `make` makes in the thread. Returns when it is made, and so can be reached.
    pub(crate) fn start(make: impl FnOnce() -> Reactor<F> + Send + 'static) -> Target<F> {
        let (jobs, asked) = channel();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let reactor = make();
            tell.send(()).unwrap();
            serve(reactor, &asked);
        });
        told.recv().unwrap();
        Target { jobs: Some(jobs), thread: Some(thread) }
    }

    /// What `job` makes of the target between two of its turns.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Reactor<F>) -> T + Send + 'static,
    ) -> T {
        let (tell, told) = channel();
        let job: Job<F> = Box::new(move |reactor| tell.send(job(reactor)).unwrap());
        self.jobs.as_ref().unwrap().send(job).unwrap();
        told.recv().unwrap()
    }
}

impl<F: Fabric + 'static> Drop for Target<F> {
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve<F: Fabric>(mut reactor: Reactor<F>, asked: &Receiver<Job<F>>) {
    let mut budget = SpinBudget::adaptive(Duration::from_micros(50));
    loop {
        match asked.try_recv() {
            Ok(job) => job(&mut reactor),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        let now = Instant::now();
        let turn = reactor.turn(now);
        if budget.handle_turn(now, turn.did_work) {
            reactor.wait(now, Some(now + Duration::from_millis(5))).unwrap();
        }
    }
}

/// One subsystem with one namespace of memory on `fabric`, without ports.
pub(crate) fn exporting<F: Fabric>(
    fabric: F,
    path_mtu_bytes: Option<u32>,
    nqn: &str,
    disk: &str,
) -> Reactor<F> {
    let mut reactor = Reactor::new(fabric, Config { path_mtu_bytes, ..Config::default() });
    reactor.add_subsystem(nqn).unwrap();
    reactor
        .add_namespace(nqn, Some(1), disk, storage::open(&disk.parse().unwrap()).unwrap())
        .unwrap();
    reactor
}

/// The same over NVMe/TCP, at all of `ports`, which count from 1.
pub(crate) fn over_tcp(ports: &[SocketAddr], nqn: &str, disk: &str) -> Reactor<TcpFabric> {
    let fabric = TcpFabric::new(TcpConfig::controller(ports[0].ip())).unwrap();
    let mut reactor = exporting(fabric, None, nqn, disk);
    for (id, address) in (1..).zip(ports) {
        reactor.open_port(tcp_port(id, *address)).unwrap();
    }
    reactor
}

/// A port of NVMe/TCP.
pub(crate) fn tcp_port(id: u16, address: SocketAddr) -> Port {
    Port { id, transport: TransportKind::Tcp, address }
}
