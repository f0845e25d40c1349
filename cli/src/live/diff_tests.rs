use super::super::tests::models;
use super::*;
use proptest::prelude::*;
use target::HostList;

fn apply(changes: &[Change], model: &Model) -> Model {
    let mut model = model.clone();
    changes.iter().for_each(|change| change.apply(&mut model));
    model
}

proptest! {
    /// Goal: the changes between two configurations make the second of the first, there are none
    /// between equal ones, and undone from any point they leave the first.
    #[test]
    fn changes_lead_there_and_back(old in models(), new in models(), cut in 0usize..40) {
        let changes = diff(&old, &new);
        prop_assert_eq!(apply(&changes, &old), new.clone());
        prop_assert!(diff(&new, &new).is_empty());
        let done = &changes[..cut.min(changes.len())];
        let halfway = apply(done, &old);
        let undo: Vec<Change> = done.iter().rev().map(Change::undo).collect();
        prop_assert_eq!(apply(&undo, &halfway), old);
    }

    /// Goal: what goes makes room before anything comes: a subsystem's namespaces go before it and
    /// come after it.
    #[test]
    fn order(old in models(), new in models()) {
        let mut model = old.clone();
        for change in diff(&old, &new) {
            if let Change::AddNamespace((nqn, nsid), _) = &change {
                prop_assert!(!model.subsystems[nqn].namespaces.contains_key(nsid));
            }
            if let Change::RemoveSubsystem(nqn, _) = &change {
                prop_assert!(model.subsystems[nqn].namespaces.is_empty());
            }
            change.apply(&mut model);
        }
    }
}

/// Goal: a plan says what a namespace that comes will be like.
#[test]
fn what_comes_is_described() {
    let namespace = Namespace {
        size: Some(4096),
        read_only: true,
        ana_group: 2,
        hosts: HostList::only(["h"]),
        ..Namespace::new("mem:1MiB")
    };
    let change = Change::AddNamespace(("nqn".into(), 3), namespace);
    let said = change.to_string();
    assert_eq!(said, "namespace 3 of nqn: mem:1MiB, 4096 B, read-only, group 2, for h");
    assert_eq!(change.undo().to_string(), "namespace 3 of nqn: mem:1MiB");
}

/// Goal: a namespace of another disk, or with other identifiers, is another namespace; everything
/// else of it changes in place.
#[test]
fn what_is_replaced_and_what_is_changed() {
    let mut old = Model::default();
    old.subsystems.insert("nqn".into(), Subsystem::default());
    let namespaces = |model: &mut Model, namespace: Namespace| {
        model.subsystems.get_mut("nqn").unwrap().namespaces.insert(1, namespace);
    };
    namespaces(&mut old, Namespace::new("mem:1MiB"));
    let signs = |namespace: Namespace| {
        let mut new = old.clone();
        namespaces(&mut new, namespace);
        diff(&old, &new).iter().map(Change::sign).collect::<String>()
    };
    let same = Namespace::new("mem:1MiB");
    assert_eq!(signs(same.clone()), "");
    assert_eq!(signs(Namespace::new("mem:2MiB")), "-+");
    let mut other = same.clone();
    other.ids.uuid = Some([1; 16]);
    assert_eq!(signs(other), "-+");
    assert_eq!(signs(Namespace { size: Some(4096), read_only: true, ana_group: 2, ..same }), "~~~");
}
