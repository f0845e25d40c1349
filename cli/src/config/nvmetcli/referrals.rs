//! Referrals of a port: here they are the whole target's, as all its ports tell the same.

use super::super::referrals::Word;
use super::object::Object;

/// Those that can be told; the others are named.
pub(super) fn read(port: &mut Object<'_>, known: &mut Vec<Word>) {
    for (at, value) in port.list("referrals").into_iter().enumerate() {
        let place = format!("{}.referrals[{at}]", port.place);
        let mut referral = Object::new(value, place, port.left_out);
        if let Some(word) = read_one(&mut referral)
            && !known.contains(&word)
        {
            known.push(word);
        }
        referral.end();
    }
}

fn read_one(referral: &mut Object<'_>) -> Option<Word> {
    // A name in the kernel's tree, which hosts do not see.
    referral.fields.remove("name");
    let enabled = referral.flag("enable").unwrap_or(true);
    let mut addr = referral.object("addr");
    let (trtype, traddr, trsvcid) = addr.reach();
    addr.drop_if("treq", &["not specified", "not required"]);
    addr.drop_if("tsas", &["none"]);
    // Of the other service, which tells it itself.
    addr.fields.remove("portid");
    addr.end();
    let (Some(trtype), Some(traddr), Some(trsvcid)) = (trtype, traddr, trsvcid) else {
        referral.say("left out: its transport or address cannot be told here");
        return None;
    };
    if !enabled {
        referral.say("it is not enabled");
        return None;
    }
    Some(Word { trtype, traddr, trsvcid, subnqn: None })
}

#[cfg(test)]
mod tests {
    use super::super::import;

    /// Goal: referrals of all ports are taken over once each, and what is not is named.
    #[test]
    fn referrals_are_imported() {
        let addr = r#"{"adrfam": "ipv4", "traddr": "192.0.2.9", "treq": "not specified",
                       "trsvcid": "8009", "trtype": "tcp", "portid": "3"}"#;
        let off = format!(r#"{{"name": "b", "enable": 0, "addr": {addr}}}"#);
        let on = format!(r#"{{"name": "a", "enable": 1, "addr": {addr}}}"#);
        let fc = on.replace("tcp", "fc");
        let port = |portid: u8, referrals: &str| {
            format!(
                r#"{{"portid": {portid}, "addr": {{"adrfam": "ipv4", "traddr": "192.0.2.{portid}",
                    "trsvcid": "4420", "trtype": "tcp"}}, "referrals": [{referrals}]}}"#
            )
        };
        let ports = [port(1, &format!("{on}, {off}")), port(2, &format!("{on}, {fc}"))].join(", ");
        let imported = import(&format!(r#"{{"ports": [{ports}], "subsystems": []}}"#)).unwrap();
        assert_eq!(imported.file.referrals.len(), 1);
        assert_eq!(imported.file.referrals[0].trsvcid, 8009);
        let left_out = imported.left_out.join("\n");
        assert!(left_out.contains("ports[0].referrals[1]: it is not enabled"), "{left_out}");
        assert!(left_out.contains("ports[1].referrals[1].addr.trtype"), "{left_out}");
        assert_eq!(imported.left_out.len(), 3, "{left_out}");
    }
}
