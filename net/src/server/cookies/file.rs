//! The file of cookie secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use poddns_core::CookieSecrets;

use super::CookieError;
use crate::server::secret_file;

/// Maximum number of bytes that are read: enough for any reasonable file, including comments.
const MAX_FILE: u64 = 64 * 1024;

/// Reads a file of secrets.
pub(super) fn read(path: &Path) -> Result<CookieSecrets, CookieError> {
    let octets = secret_file::read(path, MAX_FILE)
        .map_err(|error| CookieError::Unreadable { path: path.to_owned(), error })?;
    parse(&octets).map_err(|(line, why)| CookieError::Malformed { path: path.to_owned(), line, why })
}

/// Returns true if every user of the machine may read the file.
pub(super) fn is_public(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Returns the secrets, or the number of the faulty line and its fault.
fn parse(octets: &[u8]) -> Result<CookieSecrets, (usize, &'static str)> {
    let mut secrets = Vec::new();
    let mut last = 1;
    for (number, line) in (1..).zip(octets.split(|&octet| octet == b'\n')) {
        last = number;
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let secret = secret(line).map_err(|why| (number, why))?;
        if secrets.len() == 2 {
            return Err((number, "a third secret"));
        }
        secrets.push(secret);
    }
    match secrets[..] {
        [] => Err((last, "no secret so far, and the file ends")),
        [current] => Ok(CookieSecrets { current, previous: None }),
        [current, previous, ..] => Ok(CookieSecrets { current, previous: Some(previous) }),
    }
}

fn secret(line: &[u8]) -> Result<[u8; 16], &'static str> {
    if !line.iter().all(u8::is_ascii_hexdigit) {
        return Err("something other than hexadecimal digits");
    }
    match line.len().cmp(&32) {
        std::cmp::Ordering::Less => return Err("fewer than 32 digits"),
        std::cmp::Ordering::Greater => return Err("more than 32 digits"),
        std::cmp::Ordering::Equal => {}
    }
    let mut secret = [0; 16];
    for (octet, digits) in secret.iter_mut().zip(line.chunks(2)) {
        *octet = digits.iter().fold(0, |sum, &digit| sum << 4 | value(digit));
    }
    Ok(secret)
}

/// Returns the value of a hexadecimal digit.
const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "000102030405060708090A0b0c0d0e0f";
    const B: &str = "f0e0d0c0b0a090807060504030201000";

    #[test]
    fn one_or_two_secrets_a_line_each() {
        let a = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let b = [0xf0, 0xe0, 0xd0, 0xc0, 0xb0, 0xa0, 0x90, 0x80, 0x70, 0x60, 0x50, 0x40, 0x30, 0x20, 0x10, 0];
        let one = Ok(CookieSecrets { current: a, previous: None });
        let two = Ok(CookieSecrets { current: a, previous: Some(b) });
        for text in [A.to_owned(), format!("{A}\n"), format!("\n# from ops\n  {A}\t\r\n\n")] {
            assert_eq!(parse(text.as_bytes()), one, "{text:?}");
        }
        for text in [format!("{A}\n{B}"), format!("{A}\r\n\r\n{B}\r\n#end"), format!("{A}\n#\n{B}\n")] {
            assert_eq!(parse(text.as_bytes()), two, "{text:?}");
        }
    }

    #[test]
    fn malformed_files_are_refused_with_line() {
        let cases = [
            (String::new(), 1, "no secret so far, and the file ends"),
            ("# only\n# comments\n".to_owned(), 3, "no secret so far, and the file ends"),
            (format!("{A}0"), 1, "more than 32 digits"),
            (format!("{A}\n{}", &B[1..]), 2, "fewer than 32 digits"),
            (format!("{A}\n\n{}", B.replace('f', "g")), 3, "something other than hexadecimal digits"),
            (format!("{A} {B}"), 1, "something other than hexadecimal digits"),
            (format!("0x{A}"), 1, "something other than hexadecimal digits"),
            (format!("{A}\n{B}\n{A}"), 3, "a third secret"),
        ];
        for (text, line, why) in cases {
            assert_eq!(parse(text.as_bytes()), Err((line, why)), "{text:?}");
        }
        assert!(parse(b"\xff\x00").is_err());
    }

    #[test]
    fn messages_contain_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, format!("{A}\n{}", &B[1..])).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("secret:2: fewer than 32 digits"), "{error}");
        assert!(!format!("{error} {error:?}").contains("e0d0c0"), "{error:?}");
    }

    #[test]
    fn only_regular_files_are_read_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [folder.path(), &pipe, Path::new("/dev/zero")] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.ends_with("is not a regular file"), "{error}");
        }
    }

    #[test]
    fn public_file_mode_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, A).unwrap();
        for (mode, public) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_public(&path), public, "{mode:o}");
        }
    }
}
