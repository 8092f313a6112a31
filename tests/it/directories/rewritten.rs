//! Files that somebody has rewritten, with the right checksums.

use super::{database, put, refused, segment};
use std::{fs, path::Path};
use steadfast::{Engine, Error, ErrorKind, Retry};

/// CRC-32 over the seed 0 and `bytes`, as every fixed record of the directory ends in.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[0; 16]);
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

#[test]
fn a_later_format_is_told_from_damage() {
    let rewrite = |path: &Path, copies: &[usize], body: usize| {
        let mut bytes = fs::read(path).unwrap();
        for &start in copies {
            bytes[start + 8..start + 12].copy_from_slice(&9u32.to_le_bytes());
            let sum = crc(&bytes[start..start + body]);
            bytes[start + body..start + body + 4].copy_from_slice(&sum);
        }
        fs::write(path, bytes).unwrap();
    };
    let check = |directory: &Path, file: &str| {
        let error = refused(directory, ErrorKind::UnsupportedFormat, &[file, "9"]);
        assert_eq!(error.retry(), Retry::Never);
        match error {
            Error::UnsupportedFormat { file: named, version, supported } => {
                assert!(named.contains(file));
                assert_eq!((version, supported), (9, 4));
            }
            other => panic!("{other}"),
        }
    };
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    rewrite(&dir.path().join("IDENTITY"), &[0], 28);
    check(dir.path(), "IDENTITY");

    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    rewrite(&segment(dir.path()), &[0, 4096], 64);
    check(dir.path(), "segments/");

    for longer in [0, 40] {
        let dir = tempfile::tempdir().unwrap();
        database(dir.path());
        rewrite_meta(&dir.path().join("checkpoint.redb"), |body| {
            body[..4].copy_from_slice(&9u32.to_le_bytes());
            body.resize(body.len() + longer, 1);
        });
        check(dir.path(), "checkpoint.redb");
    }
}

/// Every checksum is right: the digest alone shows it, before the log is looked at.
#[test]
fn a_checkpoint_without_the_digest_it_records_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    put(&engine, "first");
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    // Behind the format, the identity, three numbers, the chain digest and the digest's version.
    rewrite_meta(&dir.path().join("checkpoint.redb"), |body| body[80] ^= 1);
    refused(dir.path(), ErrorKind::Corruption, &["checkpoint.redb", "state digest it records"]);
}

/// Changes the row that says what the checkpoint is of, and gives it the right checksum.
fn rewrite_meta(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use redb::ReadableTable;
    const META: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(META).unwrap();
        let mut body = table.get(()).unwrap().unwrap().value()[4..].to_vec();
        change(&mut body);
        // Tag of a meta row, length of its empty key.
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[4, 0, 0, 0, 0]);
        hasher.update(&body);
        let mut row = hasher.finalize().to_le_bytes().to_vec();
        row.extend(body);
        table.insert((), &row[..]).unwrap();
    }
    write.commit().unwrap();
}
