//! Two files as the line of an emulated board, and a socket as the desktop's end of it: see
//! `boards/common/src/semihosted.rs`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// What the desktop sends to the board.
const TO_BOARD: &str = "to-board";
/// What the board answers.
const FROM_BOARD: &str = "from-board";
/// Between two looks for an answer.
const PAUSE: Duration = Duration::from_micros(50);

/// The desktop that is connected.
type Desk = Mutex<Option<TcpStream>>;

/// The files, in a folder that ends with them.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Where the desktop's end is, as `--link` wants it.
    pub(super) link: String,
    /// The thread that looks for answers ends with it.
    _desk: Arc<Desk>,
}

impl Files {
    /// Empty files in a new folder.
    pub(super) fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let listener = TcpListener::bind("127.0.0.1:0").context("no port to be had")?;
        let link = format!("tcp:{}", listener.local_addr()?);
        let to_board = File::options().create(true).append(true).open(folder.join(TO_BOARD))?;
        let from_board = File::create_new(folder.join(FROM_BOARD))
            .and_then(|_| File::open(folder.join(FROM_BOARD)))?;
        let desk = Arc::new(Desk::default());
        let (heard, answered) = (Arc::downgrade(&desk), Arc::downgrade(&desk));
        thread::spawn(move || bring(&listener, &to_board, &heard));
        thread::spawn(move || answer(from_board, &answered));
        Ok(Self { folder, link, _desk: desk })
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Forgets everything: a board that starts reads from the start.
    pub(super) fn empty(&self) -> Result<()> {
        for name in [TO_BOARD, FROM_BOARD] {
            File::options().write(true).open(self.folder.join(name))?.set_len(0)?;
        }
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left of them is in nobody's way.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Brings to the board what desktops send, one after the other, until the socket is of no use any more.
fn bring(listener: &TcpListener, mut to_board: &File, desk: &Weak<Desk>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let (Some(desk), Ok(())) = (desk.upgrade(), stream.set_nodelay(true)) else { return };
        *desk.lock().unwrap_or_else(PoisonError::into_inner) = stream.try_clone().ok();
        // It ends when the desktop hangs up.
        let _ = io::copy(&mut &stream, &mut to_board);
    }
}

/// Brings to the desktop what the board answers.
fn answer(mut from_board: File, desk: &Weak<Desk>) {
    let mut bytes = [0; 4096];
    while let Some(desk) = desk.upgrade() {
        match from_board.read(&mut bytes) {
            Ok(0) | Err(_) => {
                let (at, end) = (from_board.stream_position(), from_board.metadata());
                if let (Ok(at), Ok(end)) = (at, end)
                    && end.len() < at
                {
                    let _ = from_board.seek(SeekFrom::Start(0));
                }
                drop(desk);
                thread::sleep(PAUSE);
            }
            Ok(count) => {
                let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                if desk.as_mut().is_some_and(|desk| desk.write_all(&bytes[..count]).is_err()) {
                    *desk = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the file to have bytes, and gives them.
    fn awaited(path: &Path) -> Vec<u8> {
        loop {
            let bytes = fs::read(path).expect("a file");
            if !bytes.is_empty() {
                return bytes;
            }
            thread::sleep(PAUSE);
        }
    }

    #[test]
    fn bytes_go_both_ways_and_again_after_a_start() {
        let folder = tempfile::tempdir().expect("a folder").path().join("line");
        let files = Files::new(folder.clone()).expect("files");
        let address = files.link.strip_prefix("tcp:").expect("an address").to_owned();
        let mut board = File::options().append(true).open(folder.join(FROM_BOARD)).expect("a file");
        for word in [*b"one", *b"two"] {
            let mut desktop = TcpStream::connect(&address).expect("a socket");
            desktop.write_all(&word).expect("a line");
            assert_eq!(awaited(&folder.join(TO_BOARD)), word);
            board.write_all(&word).expect("a line");
            let mut heard = [0; 3];
            desktop.read_exact(&mut heard).expect("an answer");
            assert_eq!(heard, word);
            files.empty().expect("empty files");
        }
        drop(files);
        assert!(!folder.exists());
    }
}
