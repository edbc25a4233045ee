//! Two files as the line of an emulated board, and a socket as the desktop's end of it: see
//! `boards/common/src/semihosted.rs`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// What the desktop sends to the board.
const TO_BOARD: &str = "to-board";
/// What the board answers.
const FROM_BOARD: &str = "from-board";
/// Between two looks for an answer.
const PAUSE: Duration = Duration::from_micros(50);

/// The files, in a folder that ends with them.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Where the desktop's end is, as `--link` wants it.
    pub(super) link: String,
    to_board: File,
    /// The thread that looks for answers ends with them.
    answers: Arc<Answers>,
}

/// What the board answers, and who hears it.
#[derive(Debug)]
struct Answers {
    /// Read as far as was brought.
    from_board: Mutex<File>,
    desktop: Mutex<Option<TcpStream>>,
}

impl Files {
    /// Empty files in a new folder.
    pub(super) fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let listener = TcpListener::bind("127.0.0.1:0").context("no port to be had")?;
        let link = format!("tcp:{}", listener.local_addr()?);
        let open =
            |name| File::options().create(true).read(true).append(true).open(folder.join(name));
        let (to_board, from_board) = (open(TO_BOARD)?, open(FROM_BOARD)?);
        let answers =
            Arc::new(Answers { from_board: Mutex::new(from_board), desktop: Mutex::default() });
        let (end, hearers, board) =
            (Arc::downgrade(&answers), Arc::downgrade(&answers), to_board.try_clone()?);
        thread::spawn(move || bring(&listener, &board, &hearers));
        thread::spawn(move || answer(&end));
        Ok(Self { folder, link, to_board, answers })
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Forgets everything: a board that starts reads and writes from the start.
    pub(super) fn empty(&self) -> Result<()> {
        self.to_board.set_len(0)?;
        // While nobody reads, who would go on behind the new end.
        let mut from_board = locked(&self.answers.from_board);
        from_board.set_len(0)?;
        Ok(from_board.rewind()?)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left of them is in nobody's way.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Brings to the board what desktops send, one after the other. After the last it waits for the program
/// to end.
fn bring(listener: &TcpListener, mut to_board: &File, answers: &Weak<Answers>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let (Some(answers), Ok(())) = (answers.upgrade(), stream.set_nodelay(true)) else { return };
        *locked(&answers.desktop) = stream.try_clone().ok();
        drop(answers);
        // It ends when the desktop hangs up.
        let _ = io::copy(&mut &stream, &mut to_board);
    }
}

/// Brings to the desktop what the board answers.
fn answer(answers: &Weak<Answers>) {
    let mut bytes = [0; 4096];
    while let Some(answers) = answers.upgrade() {
        let count = locked(&answers.from_board).read(&mut bytes).unwrap_or(0);
        if count == 0 {
            drop(answers);
            thread::sleep(PAUSE);
            continue;
        }
        let mut desktop = locked(&answers.desktop);
        if desktop.as_mut().is_some_and(|desktop| desktop.write_all(&bytes[..count]).is_err()) {
            *desktop = None;
        }
    }
}

/// A thread that panicked leaves nothing half done here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the file to have bytes, and gives them; none after a while that is long for a machine.
    fn awaited(path: &Path) -> Vec<u8> {
        let mut looks = (0..200).map(|_| {
            thread::sleep(Duration::from_millis(100));
            fs::read(path).expect("a file")
        });
        looks.find(|bytes| !bytes.is_empty()).unwrap_or_default()
    }

    #[test]
    fn bytes_go_both_ways_and_again_after_a_start() {
        let folder = tempfile::tempdir().expect("a folder").path().join("line");
        let files = Files::new(folder.clone()).expect("files");
        let address = files.link.strip_prefix("tcp:").expect("an address").to_owned();
        let mut board = File::options().append(true).open(folder.join(FROM_BOARD)).expect("a file");
        for word in [*b"one", *b"two"] {
            let mut desktop = TcpStream::connect(&address).expect("a socket");
            desktop.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
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
