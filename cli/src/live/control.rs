//! Who owns the configuration of a running target: hears requests, opens disks, and has the polling
//! thread change what is exported.

use super::change::{Change, Place};
use super::diff::diff;
use super::exports::{OpenDisk, Served};
use super::jobs::Asker;
use super::protocol::{PlanLine, Request, Response};
use super::rows;
use super::state::StateFile;
use super::transact::transact;
use crate::config::model::Model;
use crate::config::words::File;
use crate::config::{check, ids, mean, seed, write};
use netstack::fabric::Fabric;
use std::collections::BTreeMap;
use storage::{BackendSpec, DiskSpec};

/// See the module's page. It lives on a thread of its own.
pub(crate) struct Control<F: Fabric> {
    /// The polling thread.
    pub asker: Asker<Served<F>>,
    /// What is exported.
    pub model: Model,
    /// What of the configuration is taken at the start only.
    pub fixed: File,
    /// Where it is kept.
    pub state: Option<StateFile>,
}

/// Why nothing changed.
struct Refused {
    why: String,
    is_misuse: bool,
}

fn misuse(why: String) -> Refused {
    Refused { why, is_misuse: true }
}
fn failed(why: String) -> Refused {
    Refused { why, is_misuse: false }
}

impl<F: Fabric + 'static> Control<F> {
    /// Does what is asked. Errors are part of the answer: then nothing changed.
    pub(crate) fn handle(&mut self, request: &Request) -> Response {
        let outcome = match request {
            Request::Apply { config, dry_run } => self.apply(config, *dry_run),
            Request::Edit(edit) => {
                edit.apply(&self.model).map_err(failed).and_then(|next| self.become_(next, false))
            }
            Request::Show => {
                Ok(Response { config: Some(text(&self.fixed, &self.model)), ..Response::default() })
            }
            Request::List(noun) => self.look().map(|view| {
                let rows = rows::rows(*noun, &self.model, &view);
                Response { rows, ..Response::default() }
            }),
        };
        outcome.unwrap_or_else(|refused| Response::refused(refused.why, refused.is_misuse))
    }

    fn apply(&mut self, config: &str, dry_run: bool) -> Result<Response, Refused> {
        let file = File::parse(config).map_err(misuse)?;
        let wanted = mean::wanted(&file, &self.model).map_err(misuse)?;
        let notes = self.notes(&file);
        let response = self.become_(wanted, dry_run)?;
        Ok(Response { notes, ..response })
    }
    /// What the file says in vain.
    fn notes(&self, file: &File) -> Vec<String> {
        let differs = [
            ("poll", file.poll.is_some() && file.poll != self.fixed.poll),
            ("cpu", file.cpu.is_some() && file.cpu != self.fixed.cpu),
            ("pcap", file.pcap.is_some() && file.pcap != self.fixed.pcap),
            ("link", file.link.is_some() && file.link != self.fixed.link),
            ("cc", file.cc.is_some() && file.cc != self.fixed.cc),
        ];
        let note = |word: &str| format!("{word} is taken when the target starts, not now");
        differs.iter().filter(|(_, differs)| *differs).map(|(word, _)| note(word)).collect()
    }

    /// Makes the target what `wanted` says, or says how.
    fn become_(&mut self, mut wanted: Model, dry_run: bool) -> Result<Response, Refused> {
        check::whole(&wanted).map_err(misuse)?;
        ids::complete(&mut wanted, seed()).map_err(misuse)?;
        let changes = diff(&self.model, &wanted);
        let line = |change: &Change| PlanLine { sign: change.sign(), what: change.to_string() };
        let plan = changes.iter().map(line).collect();
        if !dry_run && !changes.is_empty() {
            self.change(&changes, &wanted).map_err(failed)?;
        }
        Ok(Response { plan, ..Response::default() })
    }
    fn change(&mut self, changes: &[Change], wanted: &Model) -> Result<(), String> {
        let disks = open_disks(changes, &self.model)?;
        let draft = match &self.state {
            Some(state) => {
                let draft = state.draft(&text(&self.fixed, wanted));
                Some(draft.map_err(|why| format!("the configuration cannot be kept: {why}"))?)
            }
            None => None,
        };
        self.execute(changes.to_vec(), disks)?;
        if let Some(Err(why)) = draft.map(super::state::Draft::keep) {
            let why = format!("the configuration cannot be kept: {why}");
            return Err(match self.go_back(changes, wanted) {
                Ok(()) => why,
                Err(more) => {
                    self.note(changes);
                    format!("{why}; it is in force, since it could not be taken back: {more}")
                }
            });
        }
        self.note(changes);
        Ok(())
    }
    /// They were done.
    fn note(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| change.apply(&mut self.model));
    }
    /// Undoes what was done, with the disks opened again.
    fn go_back(&self, changes: &[Change], from: &Model) -> Result<(), String> {
        let undo: Vec<Change> = changes.iter().rev().map(Change::undo).collect();
        let disks = open_disks(&undo, from)?;
        self.execute(undo, disks)
    }
    fn execute(
        &self,
        changes: Vec<Change>,
        disks: BTreeMap<Place, OpenDisk>,
    ) -> Result<(), String> {
        let outcome = self.asker.ask(move |served| transact(served, &changes, disks));
        outcome.unwrap_or_else(|| Err("the target is stopping".into()))
    }
    fn look(&self) -> Result<super::exports::View, Refused> {
        let view = self.asker.ask(|served: &mut Served<F>| served.view());
        view.ok_or_else(|| failed("the target is stopping".into()))
    }
}

/// The whole configuration as a file.
pub(crate) fn text(fixed: &File, model: &Model) -> String {
    let File { listeners, referrals, subsystems, .. } = write::words(model);
    File { listeners, referrals, subsystems, ..fixed.clone() }.text()
}

/// Exports all of `model` on a target that exports nothing.
///
/// Errors: in words; nothing is exported then.
pub(crate) fn export_all<F: Fabric>(served: &mut Served<F>, model: &Model) -> Result<(), String> {
    let changes = diff(&Model::default(), model);
    let disks = open_disks(&changes, &Model::default())?;
    transact(served, &changes, disks)
}

/// A disk for each namespace that comes. May block, as file systems do.
///
/// Errors: in words; those that were opened are closed again.
fn open_disks(changes: &[Change], running: &Model) -> Result<BTreeMap<Place, OpenDisk>, String> {
    let mut disks = BTreeMap::new();
    for change in changes {
        let Change::AddNamespace(place, namespace) = change else { continue };
        let uri = &namespace.uri;
        let spec: BackendSpec = uri.parse().map_err(|why: storage::SpecError| why.to_string())?;
        let mut disk = storage::open(&spec)
            .map_err(|why| format!("{uri}: {why}{}", own(&spec, running).unwrap_or_default()))?;
        let geometry = disk.geometry();
        if let Some(octets) = namespace.size {
            let blocks = octets / u64::from(geometry.block_bytes);
            disk.resize(blocks).map_err(|why| format!("{uri}: size {octets}: {why}"))?;
        }
        disks.insert(place.clone(), OpenDisk { disk, whole_blocks: geometry.block_count });
    }
    Ok(disks)
}

/// A hint, where this target itself has the file.
fn own(spec: &BackendSpec, running: &Model) -> Option<String> {
    let path = |spec: &BackendSpec| match &spec.disk {
        DiskSpec::File { path, .. } | DiskSpec::Mmap { path, .. } => Some(path.clone()),
        DiskSpec::Memory { .. } | DiskSpec::Null { .. } => None,
    };
    let wanted = path(spec)?;
    let mut known = running.namespaces();
    let (nqn, nsid, _) = known.find(|(_, _, namespace)| {
        let spec: Option<BackendSpec> = namespace.uri.parse().ok();
        spec.and_then(|spec| path(&spec)).as_ref() == Some(&wanted)
    })?;
    Some(format!(" (it is namespace {nsid} of {nqn}: remove that first, then add it anew)"))
}
