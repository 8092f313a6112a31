//! What several subjects need: keys, pictures of a directory, child processes, a limit on hanging.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Display},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};
use steadfast::{Engine, Error, IdempotencyKey, Keyspace, Request};

/// Stands in keys and values that must never be printed.
pub const MARKER: &str = "S3CRET-MARKER";

pub fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new("test", name).unwrap()
}

/// Neither what a user reads nor what a log shows holds the marker.
pub fn assert_discreet(shown: &(impl Display + Debug)) {
    for text in [format!("{shown}"), format!("{shown:?}"), format!("{shown:#?}")] {
        assert!(!text.contains(MARKER), "{text}");
        // Byte strings print as numbers.
        assert!(!text.contains("83, 51, 67, 82"), "{text}");
    }
}

const HEALTH: Keyspace<u32, i64> = Keyspace::new("health");

/// The engine still takes a write and still reads, and the write is the very next entry: nothing was logged meanwhile.
pub fn assert_healthy(engine: &Engine) {
    let before = engine.durable_seq().get();
    let count = engine.get(&HEALTH, &1).unwrap().map_or(0, |record| record.value);
    let receipt = engine
        .commit(Request::unkeyed().add(&HEALTH, &1, 1, 0..=i64::MAX))
        .unwrap()
        .committed()
        .unwrap();
    assert_eq!(receipt.seq.get(), before + 1, "something was logged");
    assert_eq!(engine.get(&HEALTH, &1).unwrap().unwrap().value, count + 1);
}

/// The error of an opening that must fail.
pub fn refusal(opened: Result<Engine, Error>) -> Error {
    match opened {
        Ok(engine) => panic!("it opened: {}", engine.recovery()),
        Err(error) => error,
    }
}

/// A file, a folder, a link or something else, with all that must not change.
#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    File(Vec<u8>),
    Folder,
    Link(PathBuf),
    Other,
}

impl Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "file of {} bytes", bytes.len()),
            Self::Folder => f.write_str("folder"),
            Self::Link(to) => write!(f, "link to {}", to.display()),
            Self::Other => f.write_str("special file"),
        }
    }
}

/// Everything below a directory, byte for byte.
pub fn picture(directory: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(directory.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let (name, kind) = (folder.join(entry.file_name()), entry.file_type().unwrap());
            let node = if kind.is_dir() {
                folders.push(name.clone());
                Node::Folder
            } else if kind.is_symlink() {
                Node::Link(fs::read_link(entry.path()).unwrap())
            } else if kind.is_file() {
                Node::File(fs::read(entry.path()).unwrap())
            } else {
                Node::Other
            };
            nodes.insert(name, node);
        }
    }
    nodes
}

/// Writes a picture of plain files and folders into a directory.
pub fn paint(directory: &Path, nodes: &BTreeMap<PathBuf, Node>) {
    fs::create_dir_all(directory).unwrap();
    for (name, node) in nodes {
        match node {
            Node::File(bytes) => fs::write(directory.join(name), bytes).unwrap(),
            Node::Folder => fs::create_dir_all(directory.join(name)).unwrap(),
            Node::Link(_) | Node::Other => panic!("only plain files are painted"),
        }
    }
}

/// Runs `act` on a thread of its own and gives up after two minutes: for what must not hang.
pub fn in_time<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = send.send(act());
    });
    match receive.recv_timeout(Duration::from_secs(120)) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

/// What a test that plays a child process was told; `None` when it runs as one of many tests, and has nothing to do.
pub fn told(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// A command that runs one test of this binary as a child process.
pub fn as_child(test: &str, variable: &str, value: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(child_arguments(test)).env(variable, value);
    command
}

/// The arguments that make this binary run one test and show what it prints.
pub fn child_arguments(test: &str) -> [&str; 4] {
    [test, "--exact", "--nocapture", "--test-threads=1"]
}

/// Runs the child and gives what it printed after `answer:`.
pub fn answer(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the child failed:\n{out}\n{err}");
    let answer = out.split_once("answer:").unwrap_or_else(|| panic!("no answer:\n{out}\n{err}")).1;
    answer.lines().next().unwrap_or_default().trim().to_owned()
}
