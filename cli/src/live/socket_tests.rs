use super::super::protocol::Noun;
use super::*;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("flexblk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn say(stream: &UnixStream, octets: &[u8]) -> String {
    let _ = (&mut &*stream).write_all(octets);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

/// Goal: a live target's socket is refused with the way out, a dead one's is replaced, a stranger's
/// file is left alone; only the user may open it.
#[test]
fn sockets_of_the_living_and_the_dead() {
    let folder = Folder::new("socket");
    let path = folder.0.join("control.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let why = ControlSocket::bind(&path).unwrap_err().to_string();
    assert!(why.contains("--control"), "{why}");
    drop(socket);
    assert!(!path.exists());
    // The listener of a killed process leaves its name behind.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(ControlSocket::bind(&path).unwrap());
    std::fs::write(&path, "text").unwrap();
    let refused = ControlSocket::bind(&path).is_err();
    assert!(!refused || std::fs::read(&path).unwrap() == b"text");
}

/// Goal: nonsense, endless lines and half requests get an answer or an end, and the next asker is
/// served; several requests may come on one connection.
#[test]
fn bad_requests_are_answered() {
    let folder = Folder::new("asked");
    let path = folder.0.join("control.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    let asked =
        |request: &Request| Response { notes: vec![format!("{request:?}")], ..Response::default() };
    let cpus = rustix::thread::sched_getaffinity(None).unwrap();
    socket.answer(cpus, asked).unwrap();
    let connect = || UnixStream::connect(&path).unwrap();
    for nonsense in ["\n", "{}\n", "nonsense\n", "{\"list\":\"x\"}\n", "\0\0\n"] {
        let answer = say(&connect(), nonsense.as_bytes());
        assert!(answer.contains("not a request"), "{answer}");
    }
    let endless = vec![b'x'; usize::try_from(REQUEST_BYTES_MAX).unwrap() + 1];
    assert!(say(&connect(), &endless).contains("at most"));
    drop(connect());
    let half = connect();
    (&mut &half).write_all(b"{\"list\"").unwrap();
    drop(half);
    let stream = connect();
    for noun in [Noun::Host, Noun::Connection] {
        let mut line = serde_json::to_vec(&Request::List(noun)).unwrap();
        line.push(b'\n');
        assert!(say(&stream, &line).contains(&format!("{noun:?}")));
    }
}
