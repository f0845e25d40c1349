//! Both formats of package sources become entries for source packages.

use super::{from_deb822, from_one_line};

/// Options and components survive; other types and comments do not come along.
#[test]
fn one_line_entries() {
    let text = "# deb http://old.example/debian stable main\n\
                deb [signed-by=/k.gpg] http://mirror.example/debian stable main contrib\n\
                deb-src [signed-by=/k.gpg] http://mirror.example/debian stable main contrib\n\
                debug nonsense\n\n";
    let wanted = "deb-src [signed-by=/k.gpg] http://mirror.example/debian stable main contrib\n";
    assert_eq!(from_one_line(text), wanted);
}

/// Fields keep their continuation lines; a disabled stanza is left out.
#[test]
fn deb822_stanzas() {
    let text = "Types: deb\n# a remark\nURIs: http://mirror.example/debian\nSuites: stable\n\
                Signed-By:\n -----BEGIN\n .\n key\n\n\
                Enabled: no\nTypes: deb\nURIs: http://other.example/\n";
    let wanted = "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: stable\n\
                  Signed-By:\n -----BEGIN\n .\n key\n\n";
    assert_eq!(from_deb822(text), wanted);
}
