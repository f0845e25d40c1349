//! Conversations that should work, and wrong secrets.

use super::*;

/// Goal: every hash with every group, in both directions. The largest group once: it is slow.
#[test]
fn all_hashes_and_groups_agree() {
    for &hash in HashId::ALL {
        for &group in DhGroup::ALL {
            if group == DhGroup::Ffdhe8192 && hash != HashId::Sha512 {
                continue;
            }
            let mut controller = controller(Credentials {
                host: secret(BOUND),
                controller: Some(secret(LONG)),
                hash: Some(hash),
                group: Some(group),
            });
            let host = host(HostKeys { host: secret(BOUND), controller: Some(secret(LONG)) });
            let end = converse(&mut controller, host);
            assert_eq!(end, End { host: Ok((hash, group)), controller: Ok(()) });
            assert!(controller.is_authenticated());
            assert_eq!(controller.deadline(), None);
        }
    }
}

/// Goal: one-sided, with what a target takes when nothing is configured; a host authenticates again and
/// again on the same connection.
#[test]
fn one_side_is_enough_and_again_is_allowed() {
    let mut controller = controller(Credentials::new(secret(PLAIN)));
    for _ in 0..3 {
        let end =
            converse(&mut controller, host(HostKeys { host: secret(PLAIN), controller: None }));
        assert_eq!(end.host, Ok((HashId::Sha256, DhGroup::Null)));
        assert!(controller.is_authenticated());
    }
    // A changed secret takes effect with the next conversation, and its failure is told.
    controller.set_credentials(Arc::new(Credentials::new(secret(BOUND))));
    assert!(controller.is_authenticated());
    let end = converse(&mut controller, host(HostKeys { host: secret(PLAIN), controller: None }));
    assert_eq!(end.host, Err(HostAuthError::Refused(FailureReason::Failed)));
    assert_eq!(end.controller, Err(FailureReason::Failed));
}

/// Goal: a wrong secret on either side is found by the other, with and without a group.
#[test]
fn wrong_secrets_are_found() {
    for group in [DhGroup::Null, DhGroup::Ffdhe2048] {
        let credentials = |host, controller| Credentials {
            host: secret(host),
            controller,
            hash: None,
            group: Some(group),
        };
        let mut target = controller(credentials(PLAIN, None));
        let end = converse(&mut target, host(HostKeys { host: secret(LONG), controller: None }));
        assert_eq!(end.host, Err(HostAuthError::Refused(FailureReason::Failed)));
        assert_eq!(end.controller, Err(FailureReason::Failed));
        assert!(!target.is_authenticated());

        let keys = || HostKeys { host: secret(PLAIN), controller: Some(secret(LONG)) };
        let mut target = controller(credentials(PLAIN, Some(secret(PLAIN))));
        let end = converse(&mut target, host(keys()));
        assert_eq!(end.host, Err(HostAuthError::Unproved));
        assert_eq!(end.controller, Err(FailureReason::Failed), "Failure2 tells it");
        assert!(!target.is_authenticated());

        // A controller without a secret of its own says that it cannot.
        let mut target = controller(credentials(PLAIN, None));
        let end = converse(&mut target, host(keys()));
        assert_eq!(end.host, Err(HostAuthError::Refused(FailureReason::Failed)));
    }
}
