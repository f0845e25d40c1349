//! Who may connect, and what each controller may do: changed live.
//!
//! Source: NVMe Base 2.1, "Connect command", "Asynchronous Event Information – Notice".

use super::Reactor;
use crate::access::HostList;
use crate::fault::Fault;
use crate::subsystem::{ExportError, Port};
use netstack::fabric::{Fabric, QpHandle};
use wire::fabrics::{ConnectData, ConnectFault};
use wire::nvme::Status;

impl<F: Fabric> Reactor<F> {
    /// Says which hosts may use subsystem `nqn`, and so which find it in the discovery log. Hosts
    /// that are connected and may not be lose their controllers.
    ///
    /// Errors: no such subsystem.
    pub fn set_hosts(&mut self, nqn: &str, hosts: HostList) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let out: Vec<u32> = self
            .controllers
            .iter()
            .filter(|(_, controller)| controller.subsystem == at)
            .filter(|(_, controller)| !hosts.admits(&controller.host_nqn))
            .map(|(index, _)| index)
            .collect();
        self.subsystems[at].set_hosts(hosts);
        out.into_iter().for_each(|index| self.end_controller(index));
        self.directory.note_change();
        Ok(())
    }
    /// Says for which hosts namespace `nsid` exists. The others find it gone: its commands fail with
    /// Invalid Namespace, and a notice tells those that asked for it.
    ///
    /// Errors: no such subsystem or namespace.
    pub fn set_namespace_hosts(
        &mut self,
        nqn: &str,
        nsid: u32,
        hosts: HostList,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        self.namespace_mut(at, nsid)?.hosts = hosts;
        self.refresh_access(at);
        Ok(())
    }

    /// Refuses a Connect of a host that is not on the subsystem's list. What else is wrong with it,
    /// the rest of Connect says.
    pub(super) fn check_host(&self, data: &[u8]) -> Result<(), Fault> {
        let Some(data) = ConnectData::decode(data) else { return Ok(()) };
        let (Ok(host), Ok(nqn)) = (data.host_nqn(), data.subsystem_nqn()) else { return Ok(()) };
        let Some(at) = self.subsystem_index(nqn.as_str()) else { return Ok(()) };
        if self.subsystems[at].hosts().admits(host.as_str()) {
            return Ok(());
        }
        let fault = Fault::connect(ConnectFault::HOST_NQN);
        Err(Fault { status: Status::CONNECT_INVALID_HOST.do_not_retry(), ..fault })
    }
    /// A connection came in through UDP or TCP port `port`: finds the port of the discovery log.
    pub(super) fn note_port(&mut self, qp: QpHandle, port: u16) {
        let (trtype, local) = self.fabric.path_of(qp);
        let candidates = || self.all_ports().filter(|it| it.address.port() == port);
        let is_it = |it: &&Port| {
            let (transport, ip) = (it.transport.as_str(), it.address.ip());
            let is_here = local.is_none_or(|local| local == ip || ip.is_unspecified());
            transport == trtype && is_here
        };
        let found = candidates().find(is_it).or_else(|| candidates().next());
        let id = found.map_or(0, |port| port.id);
        if let Some(queue) = self.by_qp.get(&qp).and_then(|at| self.queues.get_mut(*at)) {
            queue.port_id = id;
        }
    }
    /// A Connect was executed on connection `index`: a new controller learns what it may do.
    pub(super) fn note_connected(&mut self, index: u32) {
        let queue = &self.queues[index];
        let Some(at) = queue.attachment.filter(|_| queue.qid == 0) else { return };
        let controller = &mut self.controllers[at.controller];
        controller.set_port(queue.port_id);
        controller.refresh_gates(&self.subsystems[at.subsystem]);
        if !controller.has_io_queues() {
            self.note_view(at);
        }
    }

    /// Something about namespaces of subsystem `at` changed: every controller looks again, and tells
    /// its host what came or went.
    pub(super) fn refresh_access(&mut self, at: usize) {
        let Reactor { controllers, subsystems, .. } = self;
        for (_, controller) in controllers.iter_mut().filter(|(_, c)| c.subsystem == at) {
            for nsid in controller.refresh_gates(&subsystems[at]) {
                controller.handle_namespace_change(nsid);
            }
        }
        self.deliver_events();
    }
    /// What namespace `nsid` allows changed, and nothing else. A host can bring this about as often
    /// as it likes: the work does not grow with the namespaces.
    pub(super) fn refresh_namespace(&mut self, at: usize, nsid: u32) {
        let Reactor { controllers, subsystems, .. } = self;
        for (_, controller) in controllers.iter_mut().filter(|(_, c)| c.subsystem == at) {
            controller.refresh_gate(&subsystems[at], nsid);
        }
    }
    /// Attributes of namespace `nsid` changed: tells every host that sees it, except that of
    /// controller `except`, which did it.
    pub(super) fn tell_namespace_changed(&mut self, at: usize, nsid: u32, except: Option<u32>) {
        self.refresh_namespace(at, nsid);
        for (index, controller) in self.controllers.iter_mut() {
            let sees = controller.subsystem == at && controller.gates().get(nsid).is_attached();
            if sees && Some(index) != except {
                controller.handle_namespace_change(nsid);
            }
        }
        self.deliver_events();
    }
}
