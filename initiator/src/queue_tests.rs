use super::*;
use crate::commands::queue_depth_max;
use memory::Access;
use netstack::fabric::Fabric;
use netstack::fabric::loopback::Loopback;
use std::net::SocketAddr;
use wire::fabrics::Cap;
use wire::nvme::Sqe;

fn queue(depth: u16) -> Queue {
    let mut fabric = Loopback::new(SocketAddr::from(([10, 0, 0, 2], 4791)));
    let memory = Queue::allocate(depth).unwrap();
    let mr = fabric.register(&memory, Access::LOCAL_WRITE).unwrap();
    Queue::new(1, depth, Duration::from_secs(1), memory, mr)
}
fn outstanding(queue: &mut Queue) -> usize {
    let command = |tag| Command { tag, sqe: Sqe::zeroed(), data: None, expires: true, attempts: 0 };
    (0..).take_while(|&tag| queue.start(Instant::now(), command(tag)).is_some()).count()
}

/// Goal: a queue asks for no more entries than the controller has. Linux's RDMA target has 128, and
/// refused the Connect of a queue of 129.
#[test]
fn queue_is_no_deeper_than_the_controller_allows() {
    let mut cap = Cap::zeroed();
    cap.set_mqes(127);
    let mut queue = queue(200);
    queue.bound_depth(queue_depth_max(cap.word()));
    assert_eq!((queue.depth(), outstanding(&mut queue)), (127, 127));
}

/// Goal: the bound is of one connection: a controller that allows more gets the depth asked for.
#[test]
fn bound_is_lifted_by_the_next_controller() {
    let mut queue = queue(8);
    queue.bound_depth(3);
    assert_eq!(outstanding(&mut queue), 3);
    assert_eq!(queue.reset().len(), 3);
    queue.bound_depth(1023);
    assert_eq!((queue.depth(), outstanding(&mut queue)), (8, 8));
}
