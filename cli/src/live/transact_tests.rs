use super::super::diff::diff;
use super::super::tests::models;
use super::*;
use crate::config::model::Model;
use proptest::prelude::*;

/// What is exported, as values; the `fails_at`th of the calls that may fail does.
struct Fake {
    model: Model,
    staged: BTreeMap<Ticket, &'static str>,
    opened: Vec<(u16, Listener)>,
    calls: usize,
    fails_at: usize,
}

impl Fake {
    fn new(model: &Model, fails_at: usize) -> Fake {
        let opened = model.listeners.iter().map(|(portid, it)| (*portid, *it)).collect();
        Fake { model: model.clone(), staged: BTreeMap::new(), opened, calls: 0, fails_at }
    }
    fn may_fail(&mut self) -> Result<(), String> {
        self.calls += 1;
        if self.calls == self.fails_at { Err("as the test wants".into()) } else { Ok(()) }
    }
    fn everything(&self) -> (Model, Vec<(u16, Listener)>, usize) {
        let mut opened = self.opened.clone();
        opened.sort();
        (self.model.clone(), opened, self.staged.len())
    }
}

impl Exports<&'static str> for Fake {
    fn stage(&mut self, disk: &'static str) -> Result<Ticket, String> {
        self.may_fail()?;
        let ticket = u32::try_from(self.calls).unwrap();
        self.staged.insert(ticket, disk);
        Ok(ticket)
    }
    fn unstage(&mut self, ticket: Ticket) {
        self.staged.remove(&ticket).unwrap();
    }
    fn open(&mut self, portid: u16, listener: &Listener) -> Result<(), String> {
        self.may_fail()?;
        self.opened.push((portid, *listener));
        Ok(())
    }
    fn close(&mut self, portid: u16, listener: &Listener) -> Result<(), String> {
        let at = self.opened.iter().position(|it| *it == (portid, *listener)).unwrap();
        self.opened.remove(at);
        Ok(())
    }
    fn resize(&mut self, place: &Place, octets: Option<u64>) -> Result<(), String> {
        self.may_fail()?;
        let subsystem = self.model.subsystems.get_mut(&place.0).unwrap();
        subsystem.namespaces.get_mut(&place.1).unwrap().size = octets;
        Ok(())
    }
    fn commit(&mut self, change: &Change, ticket: Option<Ticket>) -> Result<(), String> {
        let is_new = matches!(change, Change::AddNamespace(..));
        assert_eq!(ticket.is_some(), is_new);
        if let Some(ticket) = ticket {
            self.staged.remove(&ticket).unwrap();
        }
        if let Change::RemoveListener(portid, listener) = change {
            self.close(*portid, listener)?;
        }
        change.apply(&mut self.model);
        Ok(())
    }
}

proptest! {
    /// Goal: all of it is done, or, whichever step fails, nothing: no disk stays behind, no listener,
    /// no new size.
    #[test]
    fn all_or_nothing(old in models(), new in models(), fails_at in 0usize..12) {
        let changes = diff(&old, &new);
        let mut disks = BTreeMap::new();
        for change in &changes {
            if let Change::AddNamespace(place, _) = change {
                disks.insert(place.clone(), "disk");
            }
        }
        let mut fake = Fake::new(&old, fails_at);
        let before = fake.everything();
        match transact(&mut fake, &changes, disks) {
            Err(_) => prop_assert_eq!(fake.everything(), before),
            Ok(()) => {
                let (model, opened, staged) = fake.everything();
                prop_assert_eq!(&model.subsystems, &new.subsystems);
                prop_assert_eq!(&model.referrals, &new.referrals);
                let listeners: Vec<_> = new.listeners.iter().map(|(id, it)| (*id, *it)).collect();
                prop_assert_eq!((opened, staged), (listeners, 0));
            }
        }
    }
}
