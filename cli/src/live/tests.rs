//! Configurations for property tests.

use crate::args::Transport;
use crate::config::limit::Limit;
use crate::config::model::{Group, Identity, Listener, Model, Namespace, Subsystem};
use crate::config::referrals::Referral;
use crate::config::tls::Tls;
use crate::config::words::Ana;
use crate::hosts::{Keyring, Keys};
use proptest::prelude::*;
use std::collections::BTreeMap;
use target::{ChosenIds, HostList};

fn hosts() -> impl Strategy<Value = HostList> {
    let list = prop::collection::btree_set("nqn.2026-01.io.h:[a-c]", 0..3).prop_map(HostList::Only);
    prop_oneof![Just(HostList::Any), list]
}

fn state() -> impl Strategy<Value = Ana> {
    prop_oneof![Just(Ana::Optimized), Just(Ana::NonOptimized), Just(Ana::Inaccessible)]
}

fn limits() -> impl Strategy<Value = Limit> {
    (0u32..3, 0u32..3, 0u32..3, 0u32..3).prop_map(|(ios, both, reads, writes)| Limit {
        rw_ios_per_sec: ios,
        rw_mbytes_per_sec: both,
        r_mbytes_per_sec: reads,
        w_mbytes_per_sec: writes,
    })
}

fn namespaces() -> impl Strategy<Value = Namespace> {
    let uri = prop_oneof![Just("mem:1MiB"), Just("mem:2MiB"), Just("null:1GiB")];
    let uuid = prop::option::of(Just([7; 16]));
    let limit = prop_oneof![Just(Limit::default()), limits()];
    (uri, prop::option::of(1u64..3), uuid, any::<bool>(), 1u32..4, hosts(), limit).prop_map(
        |(uri, blocks, uuid, read_only, ana_group, hosts, limit)| Namespace {
            uri: uri.into(),
            size: blocks.map(|blocks| blocks * 4096),
            ids: ChosenIds { uuid, ..ChosenIds::default() },
            read_only,
            ana_group,
            hosts,
            limit,
        },
    )
}

fn groups() -> impl Strategy<Value = BTreeMap<u32, Group>> {
    let group = (state(), prop::collection::btree_map(1u16..3, state(), 0..2))
        .prop_map(|(state, ports)| Group { state, ports });
    prop::collection::btree_map(1u32..4, group, 0..3).prop_map(|mut groups| {
        groups.retain(|_, group| *group != Group::default());
        groups
    })
}

fn secret() -> Keys {
    let secret = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
    toml::from_str(&format!("dhchap_secret = {secret:?}\ndhchap_hash = 'sha384'")).unwrap()
}

fn subsystems() -> impl Strategy<Value = Subsystem> {
    let identity = (prop::option::of("[A-Z]{1,3}"), prop::option::of("[A-Z]{1,3}"))
        .prop_map(|(serial, model)| Identity { serial, model });
    let namespaces = prop::collection::btree_map(1u32..5, namespaces(), 0..4);
    let keys = prop::bool::ANY.prop_map(|proves| proves.then(secret));
    let limited = prop::collection::btree_map("nqn.2026-01.io.h:[a-c]", limits(), 0..3);
    (identity, hosts(), keys, limited, groups(), namespaces).prop_map(
        |(identity, hosts, keys, limited, ana, namespaces)| {
            // Only hosts that are named have something to prove.
            let keyring = match &hosts {
                HostList::Any => Keyring::new(),
                HostList::Only(nqns) => nqns
                    .iter()
                    .take(1)
                    .filter_map(|nqn| Some((nqn.clone(), keys.clone()?)))
                    .collect(),
            };
            let mut host_limits = limited;
            host_limits.retain(|host, limit| hosts.admits(host) && !limit.is_none());
            Subsystem { identity, hosts, keyring, host_limits, ana, namespaces }
        },
    )
}

/// Any small configuration; it need not be one that passes every check.
pub(super) fn models() -> impl Strategy<Value = Model> {
    let transport =
        || any::<bool>().prop_map(|tcp| if tcp { Transport::Tcp } else { Transport::Rdma });
    let address = || (4420u16..4423).prop_map(|port| ([127, 0, 0, 1], port).into());
    let tls = prop_oneof![Just(Tls::Off), Just(Tls::Optional), Just(Tls::Required)];
    let listener = (transport(), address(), any::<bool>(), tls)
        .prop_map(|(trtype, address, discovery, tls)| Listener { trtype, address, discovery, tls });
    let nqn = prop::option::of("nqn.2026-01.io.d:[ab]");
    let referral = (transport(), address(), nqn).prop_map(|(trtype, address, nqn)| Referral {
        trtype,
        address,
        nqn,
    });
    let referrals = prop::collection::btree_set(referral, 0..3);
    let listeners = prop::collection::btree_map(1u16..4, listener, 0..3);
    let nqns = "nqn.2026-01.io.s:[a-c]";
    (listeners, referrals, prop::collection::btree_map(nqns, subsystems(), 0..3))
        .prop_map(|(listeners, referrals, subsystems)| Model { listeners, referrals, subsystems })
}

proptest! {
    /// Goal: a configuration is the same after it was written and read.
    #[test]
    fn written_and_read(model in models()) {
        let text = crate::config::write::words(&model).text();
        let file = crate::config::words::File::parse(&text).unwrap();
        let listeners = crate::config::mean::listeners_of(&file, &[], &Model::default()).unwrap();
        let subsystems = crate::config::mean::subsystems(&file.subsystems, &Model::default());
        prop_assert_eq!(crate::config::referrals::meant(&file.referrals), model.referrals);
        prop_assert_eq!(listeners.unwrap_or_default(), model.listeners);
        prop_assert_eq!(subsystems.unwrap(), model.subsystems);
    }
}
