//! The asking end of the control socket.

use super::protocol::{RESPONSE_BYTES_MAX, Request, Response};
use super::socket::default_path;
use crate::failure::Failure;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A target has this long to answer: it may have to make a disk first.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks the target behind `control`, or behind the usual socket.
///
/// Errors: no target there, or it refused: then nothing changed.
pub(crate) fn ask(control: Option<&Path>, request: &Request) -> Result<Response, Failure> {
    let path = control.map(Path::to_owned).or_else(default_path).ok_or_else(|| {
        Failure::new(
            "there is no usual place for the control socket of this user: give both \
             `flexblk serve` and this command --control PATH",
        )
    })?;
    let shown = path.display();
    let mut stream = UnixStream::connect(&path).map_err(|why| {
        let is_gone = matches!(why.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        let advice = if is_gone {
            "no target runs there: start `flexblk serve`, or name its socket with --control"
        } else {
            "is it this user's?"
        };
        Failure::new(format!("control socket {shown}: {why}; {advice}"))
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A target that refuses before it has read all says why: that is read below.
    let sent = stream.write_all(&line);
    let mut answer = String::new();
    let read = BufReader::new(stream.take(RESPONSE_BYTES_MAX)).read_line(&mut answer);
    if answer.is_empty() {
        sent.and(read.map(drop))
            .map_err(|why| Failure::new(format!("control socket {shown}: {why}")))?;
        return Err(Failure::new(format!("control socket {shown}: the target gave no answer")));
    }
    let response: Response = serde_json::from_str(&answer)
        .map_err(|why| Failure::new(format!("control socket {shown}: not an answer: {why}")))?;
    match response.error {
        Some(refusal) if refusal.is_misuse => Err(Failure::misuse(refusal.why)),
        Some(refusal) => Err(Failure::new(refusal.why)),
        None => Ok(response),
    }
}
