//! The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt), as a receiver: reads exactly the header
//! and nothing behind it. Type-length-value extensions are skipped, not believed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// §2.2: the twelve bytes that begin version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// §2.1: the longest line of version 1, its CRLF included.
const LONGEST_LINE: usize = 107;
/// Addresses and extensions of version 2; §2.2 allows 64 KiB, nobody sends a tenth of this.
const LONGEST_BLOCK: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection ended in its PROXY header")]
    Ended(#[from] io::Error),
    #[error("a trusted peer sent no PROXY header")]
    Missing,
    #[error("the PROXY header is malformed")]
    Malformed,
}

/// Reads a header. `None`: the peer speaks for itself (a health check). The caller sets a deadline.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, Fault> {
    // No header of either version is shorter than this.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if &start == SIGNATURE {
        return read_binary(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(Fault::Missing);
    }
    let mut line = start.to_vec();
    // Byte by byte, since what follows belongs to TLS; the stream underneath is buffered.
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_LINE {
            return Err(Fault::Malformed);
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line).ok_or(Fault::Malformed)
}

async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, Fault> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_BLOCK {
        return Err(Fault::Malformed);
    }
    let mut block = vec![0; length];
    stream.read_exact(&mut block).await?;
    parse_block(command, family, &block).ok_or(Fault::Malformed)
}

/// §2.1. The outer option is "well-formed", the inner one "speaks for somebody".
fn parse_line(line: &[u8]) -> Option<Option<SocketAddr>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?.strip_prefix("PROXY ")?;
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let (family, rest) = text.split_once(' ')?;
    let mut fields = rest.split(' ');
    let (source, target) = (fields.next()?, fields.next()?);
    let from = port(fields.next()?)?;
    port(fields.next()?)?;
    if fields.next().is_some() {
        return None;
    }
    let source = match family {
        "TCP4" => same_family::<Ipv4Addr>(source, target)?.into(),
        "TCP6" => same_family::<Ipv6Addr>(source, target)?.into(),
        _ => return None,
    };
    Some(Some(SocketAddr::new(source, from)))
}

fn same_family<A: FromStr>(source: &str, target: &str) -> Option<A> {
    target.parse::<A>().ok()?;
    source.parse().ok()
}

/// §2.1: decimal, no sign, no leading zeroes.
fn port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}

/// §2.2.
fn parse_block(command: u8, family: u8, block: &[u8]) -> Option<Option<SocketAddr>> {
    match (command, family) {
        // LOCAL: the family and the block are to be ignored.
        (0x20, _) => Some(None),
        // PROXY, family unspecified: the receiver uses the real endpoints.
        (0x21, 0x00) => Some(None),
        (0x21, 0x11) => {
            let source: [u8; 4] = block.get(..4)?.try_into().ok()?;
            let port: [u8; 2] = block.get(8..10)?.try_into().ok()?;
            block.get(10..12)?;
            Some(Some(SocketAddr::new(IpAddr::from(source), u16::from_be_bytes(port))))
        }
        (0x21, 0x21) => {
            let source: [u8; 16] = block.get(..16)?.try_into().ok()?;
            let port: [u8; 2] = block.get(32..34)?.try_into().ok()?;
            block.get(34..36)?;
            Some(Some(SocketAddr::new(IpAddr::from(source), u16::from_be_bytes(port))))
        }
        // Datagrams, UNIX sockets and what is not assigned do not arrive on a TCP listener.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read, and what was left in the stream.
    async fn read_all(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, Fault>, &[u8]) {
        (read(&mut bytes).await, bytes)
    }

    fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, block].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0x30, 0x39, 0x01, 0xbb];

    #[tokio::test]
    async fn a_header_names_the_client_and_leaves_the_rest_alone() {
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        v6[15] = 9;
        v6[33] = 80;
        let extended = [V4.as_slice(), &[0x04, 0x00, 0x01, 0xff]].concat();
        let cases: [(Vec<u8>, Option<&str>); 8] = [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n".to_vec(), Some("192.0.2.1:12345")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n".to_vec(), Some("[2001:db8::1]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ff::1 whatever 0 0\r\n".to_vec(), None),
            (binary(0x21, 0x11, &V4), Some("192.0.2.1:12345")),
            (binary(0x21, 0x11, &extended), Some("192.0.2.1:12345")),
            (binary(0x21, 0x21, &v6), Some("[2001::9]:80")),
            (binary(0x20, 0x00, &[]), None),
        ];
        for (header, expected) in cases {
            let bytes = [header.as_slice(), b"\x16\x03\x01"].concat();
            let (read, rest) = read_all(&bytes).await;
            assert_eq!(read.unwrap(), expected.map(|text| text.parse().unwrap()));
            assert_eq!(rest, b"\x16\x03\x01");
        }
    }

    #[tokio::test]
    async fn a_hostile_header_is_refused() {
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat();
        let lines: [&[u8]; 16] = [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 12345\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 12345 443 1\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 12345 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 12345 443 \r\n",
            b"PROXY TCP4 192.0.2.01 192.0.2.2 12345 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UNKNOWNX 192.0.2.1\r\n",
            b"PROXY TCP4 192.0.2.1\n192.0.2.2 1 2\r\n",
            &endless,
        ];
        for line in lines {
            let (read, _) = read_all(line).await;
            assert!(matches!(read, Err(Fault::Malformed)), "{}", String::from_utf8_lossy(line));
        }
        let blocks = [
            binary(0x21, 0x11, &V4[..11]),
            binary(0x21, 0x21, &[0; 35]),
            binary(0x21, 0x12, &V4),
            binary(0x21, 0x31, &[0; 216]),
            binary(0x22, 0x11, &V4),
            binary(0x11, 0x11, &V4),
            binary(0x21, 0x11, &[0; LONGEST_BLOCK + 1]),
        ];
        for block in blocks {
            assert!(matches!(read_all(&block).await.0, Err(Fault::Malformed)), "{block:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_neither_guessed_nor_waited_for() {
        for other in [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".as_slice(),
            b"GET / HTTP/1.1\r\n",
            b"proxy unknown\r\n",
        ] {
            assert!(matches!(read_all(other).await.0, Err(Fault::Missing)));
        }
        let whole = binary(0x21, 0x11, &V4);
        for length in 0..whole.len() {
            assert!(matches!(read_all(&whole[..length]).await.0, Err(Fault::Ended(_))), "{length}");
        }
        assert!(matches!(read_all(b"PROXY TCP4 192.0.2.1 ").await.0, Err(Fault::Ended(_))));
    }
}
