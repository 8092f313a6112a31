//! A directory as one text file, small where the directory is mostly zeros, and readable in a diff.
//!
//! ```text
//! steadfast directory 1
//! file segments/00000000000000000001 12288
//! 0 53544541445345470100000000000000...
//! 1000 53544541445345470100000000000000...
//! * 3
//! ```
//! Each file begins with its name and its length in bytes. Then come its lines of 32 bytes, the last possibly shorter, with
//! their offset, both in hexadecimal; lines of zeros are left out. `* n`: the line before comes n more times.

use std::{collections::BTreeMap, fmt::Write};
use steadfast::testing::{Disk, SimDisk};

/// Every file of a directory by its name, `/` between folder and file.
pub type Files = BTreeMap<String, Vec<u8>>;

const FIRST: &str = "steadfast directory 1";
const LINE: usize = 32;

pub fn pack(files: &Files) -> String {
    let mut text = format!("{FIRST}\n");
    for (name, bytes) in files {
        writeln!(text, "file {name} {}", bytes.len()).unwrap();
        let lines: Vec<&[u8]> = bytes.chunks(LINE).collect();
        let mut at = 0;
        while at < lines.len() {
            let again = lines[at + 1..].iter().take_while(|line| **line == lines[at]).count();
            if lines[at].iter().any(|byte| *byte != 0) {
                write!(text, "{:x} ", at * LINE).unwrap();
                lines[at].iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
                text.push('\n');
                if again > 0 {
                    writeln!(text, "* {again}").unwrap();
                }
            }
            at += 1 + again;
        }
    }
    text
}

pub fn unpack(text: &str) -> Files {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(FIRST), "this is no archive");
    let mut files = Files::new();
    let (mut name, mut end, mut last) = (String::new(), 0, Vec::new());
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["file", file, length] => {
                name = file.to_owned();
                files.insert(name.clone(), vec![0; length.parse().unwrap()]);
            }
            ["*", again] => {
                for _ in 0..again.parse().unwrap() {
                    end = put(files.get_mut(&name).unwrap(), end, &last);
                }
            }
            [offset, hex] => {
                last = (0..hex.len() / 2)
                    .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                    .collect();
                let offset = usize::from_str_radix(offset, 16).unwrap();
                end = put(files.get_mut(&name).unwrap(), offset, &last);
            }
            _ => panic!("not a line of an archive: {line}"),
        }
    }
    files
}

fn put(bytes: &mut [u8], offset: usize, line: &[u8]) -> usize {
    bytes[offset..offset + line.len()].copy_from_slice(line);
    offset + line.len()
}

/// Puts the files onto a disk.
pub fn plant(disk: &SimDisk, files: &Files) {
    disk.create_dir("segments").unwrap();
    disk.sync_dir("").unwrap();
    for (name, bytes) in files {
        disk.plant_file(name, bytes).unwrap();
    }
}
