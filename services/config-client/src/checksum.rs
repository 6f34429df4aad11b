//! The MD5 by which Nacos tells contents apart. It guards against nothing: it names a content, as the protocol has it.

use md5::{Digest, Md5};

/// The MD5 of a content, as 32 lower-case hexadecimal digits.
pub fn md5(content: &str) -> String {
    hex(&Md5::digest(content.as_bytes()))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::md5;

    #[test]
    fn it_is_the_md5_of_rfc_1321() {
        assert_eq!(md5(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(md5("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
